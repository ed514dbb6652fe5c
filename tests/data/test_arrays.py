"""Rows of numbers: drawn, loaded and read from files; every way in which they may be wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from coreml_updatable.data.arrays import draw_arrays, read_array, to_array
from coreml_updatable.data.dataset import load_dataset
from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.data.wanted import Owner, SampleFunction, Wanted
from coreml_updatable.errors import DataError
from tests.data.npy_headers import npy_declaring

TARGET = ArrayInput("values", (2, 3))
CODE = """
import numpy as np

def draw(kind, number, shape):
    if number == 7 and kind == "odd":
        raise RuntimeError("no seventh")
    return np.full(shape, number + 0.5)

def flat(kind, number, shape):
    return [1.0, 2.0]

def load():
    for kind in ("low", "high", "mine"):
        for number in range(12):
            yield kind, f"{kind} {number}", np.full((2, 3), number)

def pictures():
    yield "low", "one", "two"
"""


@pytest.fixture
def sample(tmp_path: Path) -> Callable[[str], SampleFunction]:
    folder = tmp_path / "sample"
    folder.mkdir()
    (folder / "code.py").write_text(CODE)
    return lambda name: SampleFunction(folder, f"code.py:{name}")


@pytest.fixture
def wanted() -> Wanted:
    kinds = {"low": "down", "high": "up"}
    return Wanted(TARGET, ("down", "up"), kinds, (Owner("mine", "up", 3, 4),), drawn_kinds=("low", "high"))


def test_drawn(sample: Callable[[str], SampleFunction]) -> None:
    rows = draw_arrays(sample("draw"), [("low", 2), ("high", 1)], TARGET)
    assert rows.dtype == np.float32
    assert rows[:, 0, 0].tolist() == [0.5, 1.5, 0.5]
    assert rows.shape == (3, 2, 3)


def test_a_drawing_that_leaves(tmp_path: Path) -> None:
    (tmp_path / "leaving.py").write_text("def draw(kind, number, shape):\n    raise SystemExit('enough')\n")
    with pytest.raises(DataError, match=r"leaving.py:draw: drawing low 0 failed \(SystemExit: enough\); correct it"):
        draw_arrays(SampleFunction(tmp_path, "leaving.py:draw"), [("low", 1)], TARGET)


def test_a_drawing_that_fails(sample: Callable[[str], SampleFunction]) -> None:
    with pytest.raises(DataError, match=r"drawing odd 7 failed \(RuntimeError: no seventh\); correct it"):
        draw_arrays(sample("draw"), [("odd", 9)], TARGET)
    with pytest.raises(DataError, match=r"flat: low 0 has the shape \[2\], expected \[2, 3\]; correct it"):
        draw_arrays(sample("flat"), [("low", 1)], TARGET)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.full((2, 3), np.nan), "here contains NaN or infinite numbers"),
        ("text", "here is a str, expected an array of numbers"),
        ([[1, 2], [3]], "here is a list, expected an array of numbers"),
        ([[1, None]], "here is a list, expected an array of numbers"),
        (["1", "2"], "here is a list, expected an array of numbers"),
        (np.zeros((2, 3), np.complex64), "here is an array of complex64, expected an array of numbers"),
        (np.zeros((2, 3), "M8[Y]"), r"here is an array of datetime64\[Y\], expected an array of numbers"),
    ],
)
def test_what_is_no_row(value: object, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        to_array(value, TARGET, "here")


def test_read_from_files(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float64).reshape(2, 3)
    np.save(tmp_path / "one.npy", values)
    (tmp_path / "two.json").write_text(json.dumps(values.tolist()))
    for name in ("one.npy", "two.json"):
        np.testing.assert_array_equal(read_array(tmp_path / name, TARGET).values, values)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.npy", b"no array", r"a\.npy: is not an array of numbers \(.*\); save it with numpy\.save"),
        (
            "a.json",
            b"[[1, 2, " + b"9" * 400 + b"]]",
            r"a\.json: the array contains an integer too large for 32-bit floats",
        ),
        ("a.json", b"[[1, 2, 3], [4, 5, 1e300]]", r"a\.json: the array contains NaN or infinite numbers"),
        ("a.json", b"9" * 5000, r"a\.json: is damaged or not an array"),
        ("a.json", b"[[1, 2", r"a\.json: is damaged or not an array"),
        ("a.json", b'{"x": 1}', r"a\.json: the array is a dict, expected an array of numbers"),
        ("a.txt", b"1 2 3", r"a\.txt: is neither \.npy nor \.json"),
        ("a.json", b"[" * 100_000, r"a\.json: is damaged or not an array"),
    ],
)
def test_files_that_hold_no_row(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=expected):
        read_array(tmp_path / name, TARGET)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="is not an array of numbers"):
        read_array(tmp_path / "a.npy", TARGET)


def test_a_file_that_declares_more_than_it_holds_is_left_out(tmp_path: Path, wanted: Wanted) -> None:
    for kind in ("low", "high", "mine"):
        (tmp_path / kind).mkdir()
        for index in range(10):
            np.save(tmp_path / kind / f"{index}.npy", np.full((2, 3), index + ord(kind[0]) / 1000))
    (tmp_path / "low" / "a.npy").write_bytes(npy_declaring(f"({2**45},)"))
    (tmp_path / "low" / "b.json").write_text(f"[[1, 2, 3], [4, 5, {10**400}]]")
    dataset = load_dataset(wanted, folder=tmp_path)
    assert [sentence.partition(" (")[0] for sentence in dataset.unreadable] == [
        "low/a.npy: is not an array of numbers",
        "low/b.json: the array contains an integer too large for 32-bit floats; correct it",
    ]


def test_a_whole_collection(sample: Callable[[str], SampleFunction], wanted: Wanted) -> None:
    dataset = load_dataset(wanted, load=sample("load"))
    assert dataset.train.values.dtype == np.float32
    assert len(dataset.train) + len(dataset.validation) + len(dataset.test) == 24
    assert len(dataset.owner_support) == 3
    assert dataset.origin == "36 rows of 3 kinds, from the sample's own collection."  # arrays are not pictures
    for part in (dataset.train, dataset.owner_held_out):
        for value, name in zip(part.values, part.names, strict=True):
            assert float(value[0, 0]) == float(name.split()[1])
    with pytest.raises(TypeError, match="expected pictures"):
        _ = dataset.train.pixels


def test_a_collection_of_something_else(sample: Callable[[str], SampleFunction], wanted: Wanted) -> None:
    with pytest.raises(DataError, match=r"expected \(kind, name, array\); correct it"):
        load_dataset(wanted, load=sample("pictures"))


def test_a_folder(tmp_path: Path, wanted: Wanted) -> None:
    generator = np.random.default_rng(0)
    for kind in ("low", "high", "mine"):
        (tmp_path / "rows" / kind).mkdir(parents=True)
        for index in range(10):
            np.save(tmp_path / "rows" / kind / f"{index}.npy", generator.normal(size=(2, 3)))
    (tmp_path / "rows" / "low" / "bad.npy").write_bytes(b"bad")
    dataset = load_dataset(wanted, folder=tmp_path / "rows")
    assert dataset.origin == "30 files from the folder rows, of 3 kinds; 1 file left out."
    (sentence,) = dataset.unreadable
    assert sentence.startswith("low/bad.npy: is not an array of numbers (")
