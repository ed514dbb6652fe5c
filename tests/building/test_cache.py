"""A stage's result is made once for a key, and a damaged file is made again."""

from pathlib import Path

import numpy as np
import pytest

from coreml_updatable.building.cache import Arrays, remembered
from coreml_updatable.building.request import BuildRequest, prepare
from coreml_updatable.building.sources import PARTS, collect
from coreml_updatable.data import folders
from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.stored import StoredRows
from tests.building.bad_photos import write_shapes


class Maker:
    """Counts how often a stage is really run."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self) -> Arrays:
        self.runs += 1
        return {"numbers": np.arange(5.0), "text": np.array("{}")}


def test_made_once_for_a_key(tmp_path: Path) -> None:
    make = Maker()
    first = remembered(tmp_path, "stage", "key", make)
    second = remembered(tmp_path, "stage", "key", make)
    assert make.runs == 1
    np.testing.assert_array_equal(first["numbers"], second["numbers"])
    assert str(second["text"]) == "{}"


def test_another_key_takes_its_place(tmp_path: Path) -> None:
    make = Maker()
    for key in ("one", "two", "two", "one"):
        remembered(tmp_path, "stage", key, make)
    assert make.runs == 3
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut short", b"not a zip"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    make = Maker()
    remembered(tmp_path, "stage", "key", make)
    (tmp_path / "stage.npz").write_bytes(damage)
    remembered(tmp_path, "stage", "key", make)
    assert make.runs == 2


def test_a_file_cut_anywhere_is_made_anew(tmp_path: Path) -> None:
    make = Maker()
    remembered(tmp_path, "stage", "key", make)
    whole = (tmp_path / "stage.npz").read_bytes()
    for length in range(0, len(whole), 97):
        (tmp_path / "stage.npz").write_bytes(whole[:length])
        np.testing.assert_array_equal(remembered(tmp_path, "stage", "key", make)["numbers"], np.arange(5.0))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """An object array would be pickled; writing one is an error, not a quiet exception to the rule."""
    with pytest.raises(ValueError, match="allow_pickle"):
        remembered(tmp_path, "stage", "key", lambda: {"objects": np.array([{}, None], dtype=object)})
    assert list(tmp_path.iterdir()) == []


def test_photos_that_memory_need_not_hold_are_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = Path(__file__).parent / "shapes" / "recipe.toml"
    write_shapes(tmp_path / "photos", ("square", "disc", "triangle", "star"), 6)
    reads: list[str] = []

    def collected(out: str) -> Dataset:
        request = prepare(shapes, tmp_path / "photos", None, None, tmp_path / out)
        assert isinstance(request, BuildRequest)
        return collect(request, lambda _, detail: reads.append(detail))

    def expect_same(found: Dataset) -> None:
        for name in PARTS:
            one, other = getattr(found, name), getattr(inside, name)
            assert isinstance(one.values, StoredRows)
            assert np.array_equal(one.values, other.values)
            assert (one.names, one.kinds, one.labels.tolist()) == (other.names, other.kinds, other.labels.tolist())

    inside = collected("inside")
    monkeypatch.setattr(folders, "LARGE", 0)
    expect_same(collected("stored"))
    (cache,) = (tmp_path / "stored").glob("*/.cache")
    (rows,) = cache.glob("pictures-*")
    reads.clear()
    expect_same(collected("stored"))
    assert not reads
    rows.write_bytes(rows.read_bytes()[:100])
    expect_same(collected("stored"))
    assert reads
