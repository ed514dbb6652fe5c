"""Strokes of Quick, Draw! as drawings; whatever is no such file is one sentence."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreml_updatable.data import public as quickdraw
from coreml_updatable.data.dataset import load_dataset
from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.data.public import drawn, find_quickdraw, read_collection, read_quickdraw
from coreml_updatable.data.wanted import SampleFunction, Wanted
from coreml_updatable.errors import DataError
from coreml_updatable.recipes.file import read_recipe
from coreml_updatable.recipes.find import RECIPE

SAMPLE = Path(__file__).parents[2] / "sample_models" / "drawing_stickers"


def written(path: Path, *drawings: Any) -> Path:
    path.write_text("".join(json.dumps({"word": "x", "drawing": drawing}) + "\n" for drawing in drawings))
    return path


def test_a_square_fills_the_picture_and_stays_empty_inside() -> None:
    square = [[(0.0, 0.0), (255.0, 0.0), (255.0, 255.0), (0.0, 255.0), (0.0, 0.0)]]
    pixels = np.asarray(drawn(square))
    rows, columns = np.nonzero(pixels)
    assert rows.min() == pytest.approx(quickdraw.MARGIN, abs=quickdraw.WIDTH)
    assert rows.max() == pytest.approx(quickdraw.SIDE - quickdraw.MARGIN, abs=quickdraw.WIDTH)
    assert (columns.min(), columns.max()) == pytest.approx((rows.min(), rows.max()), abs=1)
    assert not pixels[40:70, 40:70].any()
    assert (np.asarray(drawn([[(2 * x, 2 * y) for x, y in square[0]]])) == pixels).all()


def test_a_dot_is_a_drawing() -> None:
    pixels = np.asarray(drawn([[(5.0, 5.0)]]))
    rows, columns = np.nonzero(pixels)
    assert (rows.mean(), columns.mean()) == pytest.approx((quickdraw.SIDE / 2, quickdraw.SIDE / 2), abs=1)


def test_simplified_and_raw_lines(tmp_path: Path) -> None:
    path = written(tmp_path / "full_raw_cat.ndjson", [[[0, 9], [0, 9]]], [[[0, 9], [0, 9], [0, 40]], [[3], [4], [50]]])
    read = list(read_quickdraw(path))
    assert [kind for kind, _, _ in read] == ["cat", "cat"]
    assert len({name for _, name, _ in read}) == 2
    assert len(list(read_quickdraw(path, most=1))) == 1
    assert find_quickdraw(tmp_path) == [path]


def test_a_folder_of_them(tmp_path: Path) -> None:
    for kind, turn in (("cat", 1), ("sun", -1), ("frog", 2)):
        written(tmp_path / f"{kind}.ndjson", *([[[0, 9, index], [0, turn * 9, 3]]] for index in range(12)))
    wanted = Wanted(ImageInput("drawing", 28, 28, "grayscale"), ("cat", "sun"), {"cat": "cat", "sun": "sun"})
    data = load_dataset(wanted, folder=tmp_path)
    assert data.train.values.shape[1:] == (28, 28, 1)
    assert data.origin.startswith("24 drawings from Quick, Draw!")
    assert data.unreadable == ("frog: is not a kind of the recipe",)
    with pytest.raises(DataError, match="has no pictures for the label 'dog', expected a folder named dog"):
        load_dataset(replace(wanted, labels=("cat", "dog")), folder=tmp_path)
    own = tmp_path / "own.py"
    own.write_text("def adapt(kind, number, picture):\n    raise KeyError(kind)\n")
    said = r"data.adapt: adapting cat 1 of 'cat' failed \(KeyError: 'cat'\); correct it"
    with pytest.raises(DataError, match=said):
        load_dataset(replace(wanted, adapt=SampleFunction(tmp_path, "own.py:adapt")), folder=tmp_path)


@pytest.mark.parametrize("given", [None, 3, "cat", ("cat", 3), (["cat"], "picture"), ("cat", None, 1)])
def test_what_adapts_to_something_else(tmp_path: Path, given: object) -> None:
    written(tmp_path / "cat.ndjson", [[[0, 9], [0, 9]]])
    with pytest.raises(
        DataError, match=r"adapting cat 1 of 'cat' returned .*, expected \(kind, PIL image\); correct it"
    ):
        read_collection(tmp_path, None, lambda *_: given)


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "{}", '{"drawing": []}', '{"drawing": [[[1], []]]}', '{"drawing": [[[1e9], [1]]]}', "[" * 100_000],
)
def test_a_line_that_is_no_drawing(tmp_path: Path, line: str) -> None:
    path = tmp_path / "cat.ndjson"
    path.write_text(f'{{"drawing": [[[1], [2]]]}}\n\n{line}\n')
    with pytest.raises(DataError, match=r"cat.ndjson: line 2: (is not valid JSON|has no strokes)"):
        list(read_quickdraw(path))


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "cat.ndjson", [[[0] * 30, [0] * 30]])
    monkeypatch.setattr(quickdraw, "MOST_POINTS", 29)
    with pytest.raises(DataError, match="line 1: has more than 29 points"):
        list(read_quickdraw(path))
    monkeypatch.setattr(quickdraw, "MOST_LINE", 50)
    with pytest.raises(DataError, match="a line is longer than 50 bytes"):
        list(read_quickdraw(path))
    with pytest.raises(DataError, match=r"dog.ndjson: cannot be read"):
        list(read_quickdraw(tmp_path / "dog.ndjson"))


@given(st.recursive(st.none() | st.integers() | st.floats(), lambda inner: st.lists(inner, max_size=3), max_leaves=9))
def test_nothing_but_a_data_error_comes_out(drawing: object) -> None:
    with suppress(DataError):
        assert drawn(quickdraw.points(drawing, "x")).size == (quickdraw.SIDE, quickdraw.SIDE)


def test_the_samples_recipe_for_it() -> None:
    recipe = read_recipe(SAMPLE / "quickdraw.toml")
    digits = read_recipe(SAMPLE / RECIPE)
    assert (recipe.input, recipe.knn, recipe.update) == (digits.input, digits.knn, digits.update)
