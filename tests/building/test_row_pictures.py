"""Rows that are not pictures, shown by the sample's own function; every way in which that may fail."""

from pathlib import Path

import numpy as np
import pytest

from coreml_updatable.building.report_stage import as_pictures
from coreml_updatable.building.request import BuildRequest, prepare
from coreml_updatable.data.inputs import Examples
from coreml_updatable.errors import DataError
from coreml_updatable.publishing.report.pictures import SIZE
from coreml_updatable.recipes.find import RECIPE

SAMPLE = Path(__file__).parents[2] / "sample_models" / "hand_pose"
ROWS = Examples(np.zeros((2, 3, 21), np.float32), np.zeros(2, np.int64), ("a", "b"), ("k", "k"))


def shown(folder: Path, body: str) -> Examples:
    recipe = (SAMPLE / RECIPE).read_text()
    assert '"showing.py:show"' in recipe
    (folder / RECIPE).write_text(recipe)
    (folder / "showing.py").write_text(f"from PIL import Image\ndef show(row):\n    {body}\n")
    request = prepare(folder / RECIPE, None, None, None, folder / "build")
    assert isinstance(request, BuildRequest)
    return as_pictures(request, ROWS)


def test_as_the_sample_shows_them(tmp_path: Path) -> None:
    pictures = shown(tmp_path, "row[:] = 9; return Image.new('L', (5, 5), 200)").values
    assert pictures.shape == (2, *SIZE, 3)
    assert (pictures == 200).all()
    assert not ROWS.values.any()  # what it does to a row stays with it


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError('x')", r"showing.py:show: showing a row failed \(KeyError: 'x'\); correct it"),
        ("return row", "showing.py:show: returned a ndarray, expected a PIL image; correct it"),
    ],
)
def test_a_function_that_will_not_do(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        shown(tmp_path, body)
