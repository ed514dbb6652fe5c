"""The whole of the data: from a folder, drawn, or loaded by a sample's own code."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coreml_updatable.data import drawn
from coreml_updatable.data.dataset import Dataset, load_dataset
from coreml_updatable.data.folders import digest
from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.data.wanted import Owner, SampleFunction, Wanted
from coreml_updatable.errors import DataError, RecipeError

DRAWING = """
from PIL import Image
def draw(kind, number, size):
    print("a word that is not a picture")
    if kind == "burger" and number == FAIL:
        raise ValueError("no bun")
    return Image.new("RGB", size, (len(kind) * 20, number, 7))
"""


@pytest.fixture
def sample(tmp_path: Path) -> Callable[..., SampleFunction]:
    def write(code: str, name: str = "draw") -> SampleFunction:
        folder = tmp_path / "sample"
        folder.mkdir()
        (folder / "own.py").write_text(code)
        return SampleFunction(folder, f"own.py:{name}")

    return write


def parts_of(data: Dataset) -> list[set[str]]:
    parts = (data.train, data.validation, data.test, data.owner_support, data.owner_held_out)
    return [set(part.names) for part in parts]


def check_no_leak(data: Dataset) -> None:
    parts = parts_of(data)
    assert sum(map(len, parts)) == len(set().union(*parts))


def test_from_a_folder(photos: Callable[..., Path], wanted: Wanted) -> None:
    folder = photos(salad=10, burger=10, fast__food=5, pancakes=9)
    (folder / "salad" / "notes.jpg").write_text("text")
    data = load_dataset(wanted, folder=folder)
    check_no_leak(data)
    assert [len(part) for part in parts_of(data)] == [17, 3, 5, 3, 4]
    for part in (data.train, data.validation, data.test):
        assert set(part.kinds) == {"salad", "burger", "fast-food"}
        assert [wanted.labels[label] for label in part.labels] == [wanted.label_of(kind) for kind in part.kinds]
        assert part.pixels.shape == (len(part), 24, 24, 3)
    assert set(data.owner_support.kinds) == set(data.owner_held_out.kinds) == {"pancakes"}
    assert set(data.owner_held_out.labels.tolist()) == {1}
    assert data.origin == "34 photos from the folder photos, of 4 kinds; 1 file left out."
    assert len(data.unreadable) == 1
    assert "salad/notes.jpg" in data.unreadable[0]


def test_maximum_per_kind(photos: Callable[..., Path], wanted: Wanted) -> None:
    data = load_dataset(replace(wanted, maximum_per_kind=10), folder=photos(salad=14, burger=4, pancakes=12))
    assert sum(part.kinds.count("salad") for part in (data.train, data.validation, data.test)) == 10


def test_too_few_of_the_owner(photos: Callable[..., Path], wanted: Wanted) -> None:
    with pytest.raises(
        DataError, match=r"the owner's kind 'pancakes' has 4 usable pictures, at least 5 are needed \(3 to"
    ):
        load_dataset(wanted, folder=photos(salad=5, burger=5, pancakes=4))


def test_drawn_alike_by_processes_and_here(sample: Callable[..., SampleFunction], wanted: Wanted) -> None:
    draw = sample(DRAWING.replace("FAIL", "-1"))
    counts = [("salad", 100), ("burger", 90)]
    assert isinstance(wanted.input, ImageInput)
    steps: list[float] = []
    many = drawn.draw_pictures(draw, counts, wanted.input, lambda _, fraction, __: steps.append(fraction))
    assert sum(count for _, count in counts) >= drawn.WORTH_PROCESSES
    few = [drawn.draw_pictures(draw, [count], wanted.input) for count in counts]
    np.testing.assert_array_equal(many, np.concatenate(few))
    assert steps == sorted(steps)
    assert steps[-1] == 1.0


def test_drawn(sample: Callable[..., SampleFunction], wanted: Wanted) -> None:
    data = load_dataset(wanted, draw=sample(DRAWING.replace("FAIL", "-1")))
    check_no_leak(data)
    assert [len(part) for part in parts_of(data)] == [28, 4, 8, 3, 4]
    assert data.origin == (
        "Drawn by a program, not photographed: 20 pictures each of salad, burger, and 7 of pancakes for the owner."
    )
    assert data.unreadable == ()


@pytest.mark.parametrize("count", [20, 200])
def test_a_drawing_that_fails(sample: Callable[..., SampleFunction], wanted: Wanted, count: int) -> None:
    draw = sample(DRAWING.replace("FAIL", "13"))
    with pytest.raises(DataError, match=r"own\.py:draw: drawing burger 13 failed \(ValueError: no bun\); correct it"):
        load_dataset(replace(wanted, drawn_per_kind=count), draw=draw)


def test_a_drawing_that_ends_its_process(sample: Callable[..., SampleFunction], wanted: Wanted) -> None:
    draw = sample("import os\ndef draw(kind, number, size):\n    os._exit(7)\n")
    with pytest.raises(DataError, match=r"own\.py:draw: drawing salad ended its process; correct it"):
        load_dataset(replace(wanted, drawn_per_kind=200), draw=draw)


@pytest.mark.parametrize(
    ("value", "found"),
    [("None", "is a NoneType"), ("Image.new('RGB', (5, 6))", "is of 5 x 6"), ("b''", "is a bytes")],
)
def test_a_drawing_that_is_none(sample: Callable[..., SampleFunction], wanted: Wanted, value: str, found: str) -> None:
    draw = sample(f"from PIL import Image\ndef draw(kind, number, size):\n    return {value}\n")
    with pytest.raises(DataError, match=f"salad 0 {found}, expected a PIL image of 24 x 24 pixels"):
        load_dataset(wanted, draw=draw)


def test_no_such_function(sample: Callable[..., SampleFunction], wanted: Wanted) -> None:
    with pytest.raises(RecipeError, match="has no function 'paint'"):
        load_dataset(wanted, draw=sample("", "paint"))


LOADING = """
from PIL import Image
def load():
    for kind in ("salad", "burger", "pancakes"):
        for number in range(12):
            yield kind, f"{kind} {number}", Image.new("RGB", (9, 9), (number * 20, 0, len(kind)))
"""


def test_loaded(sample: Callable[..., SampleFunction], wanted: Wanted) -> None:
    data = load_dataset(wanted, load=sample(LOADING, "load"))
    check_no_leak(data)
    assert [len(part) for part in parts_of(data)] == [18, 2, 4, 3, 4]
    assert data.origin == "36 pictures of 3 kinds, from the sample's own collection."


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def load(): raise OSError('no file')", r"loading failed \(OSError: no file\)"),
        ("def load(): return [(1, 2)]", r"returned \(1, 2\), expected \(kind, name, PIL image\)"),
        (
            LOADING.replace("yield kind", "yield [kind]"),
            r"returned \(\['salad'\], .*, expected \(kind, name, PIL image\)",
        ),
        (
            LOADING.replace('f"{kind} {number}"', "number"),
            r"returned \('salad', 0, .*, expected \(kind, name, PIL image\)",
        ),
        ("def load():\n    yield 1\n    raise SystemExit(3)", r"own.py:load: loading failed \(SystemExit: 3\)"),
        ("def load(): return []", "returned no pictures"),
        (LOADING.replace('f"{kind} {number}"', '"one"'), "two with the same name"),
        (LOADING.replace('"burger"', '"bun"'), r"returned the kind 'bun', expected one of \['burger', 'fries'"),
    ],
)
def test_a_collection_that_is_wrong(
    sample: Callable[..., SampleFunction], wanted: Wanted, code: str, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        load_dataset(wanted, load=sample(code, "load"))


def test_nothing_to_load(wanted: Wanted) -> None:
    with pytest.raises(DataError, match="pass a folder of photos"):
        load_dataset(wanted)


def test_the_digest_changes_with_names_and_contents(photos: Callable[..., Path]) -> None:
    folder = photos(salad=2, burger=2, other=1)
    first, some = digest(folder), digest(folder, ("salad", "burger"))
    assert digest(folder) == first != some
    (folder / "other" / "0.png").write_bytes(b"other")
    assert digest(folder) != first
    assert digest(folder, ("salad", "burger")) == some
    (folder / "salad" / "0.png").rename(folder / "salad" / "renamed.png")
    renamed = digest(folder, ("salad", "burger"))
    assert renamed != some
    (folder / "salad" / "renamed.png").write_bytes(b"changed")
    assert digest(folder, ("salad", "burger")) != renamed


def test_reserved_labels_come_behind_the_labels(photos: Callable[..., Path], wanted: Wanted) -> None:
    owners = (Owner("pancakes", "user0", 3, 4), Owner("soup", "user1", 3, 2))
    slotted = replace(wanted, owners=owners, reserved_labels=("user0", "user1"))
    data = load_dataset(slotted, folder=photos(salad=10, burger=10, pancakes=9, soup=5))
    check_no_leak(data)
    assert data.owner_support.kinds == ("pancakes",) * 3 + ("soup",) * 3
    assert data.owner_held_out.labels.tolist() == [2] * 4 + [3] * 2
    assert {"pancakes", "soup"}.isdisjoint(data.train.kinds)


def test_a_kind_of_the_owners_that_is_not_there(photos: Callable[..., Path], wanted: Wanted) -> None:
    slotted = replace(wanted, owners=(Owner("soup", "user0", 3, 2),), reserved_labels=("user0",))
    with pytest.raises(DataError, match=r"holds no folder 'soup', .*; add it, or drop \[personalization\]"):
        load_dataset(slotted, folder=photos(salad=10, burger=10))


def test_several_kinds_of_the_owners_are_drawn(sample: Callable[..., SampleFunction], wanted: Wanted) -> None:
    owners = (Owner("pancakes", "user0", 3, 4), Owner("pizza", "user1", 3, 4))
    reserved = replace(wanted, owners=owners, reserved_labels=("user0", "user1"))
    data = load_dataset(reserved, draw=sample(DRAWING.replace("FAIL", "-1")))
    assert data.origin.endswith("and 7 each of pancakes, pizza for the owner.")
    assert data.owner_held_out.kinds == ("pancakes",) * 4 + ("pizza",) * 4
