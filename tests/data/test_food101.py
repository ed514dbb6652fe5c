"""Food-101 as it is extracted, in small."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from coreml_updatable.data.dataset import load_dataset
from coreml_updatable.data.public import find_food101, list_food101
from coreml_updatable.data.wanted import Wanted
from coreml_updatable.errors import DataError

CLASSES = ("greek_salad", "burger", "pancakes", "sushi")


@pytest.fixture
def food101(tmp_path: Path) -> Path:
    """Eight pictures a class, the last two of each for testing."""
    root = tmp_path / "food-101"
    (root / "meta").mkdir(parents=True)
    for index, name in enumerate(CLASSES):
        (root / "images" / name).mkdir(parents=True)
        for picture in range(8):
            color = (index * 60, picture * 30, 90)
            Image.new("RGB", (30, 20), color).save(root / "images" / name / f"{picture}.jpg")
    for split, numbers in (("train", range(6)), ("test", range(6, 8))):
        entries = {name: [f"{name}/{number}" for number in numbers] for name in CLASSES}
        (root / "meta" / f"{split}.json").write_text(json.dumps(entries))
        (root / "meta" / f"{split}.txt").write_text("\n".join(line for lines in entries.values() for line in lines))
    return root


@pytest.mark.parametrize("kept", ["txt", "json"])
def test_its_own_split_is_kept(food101: Path, wanted: Wanted, kept: str) -> None:
    for path in list((food101 / "meta").iterdir()):
        if path.suffix != f".{kept}":
            path.unlink()
    data = load_dataset(wanted, folder=food101.parent)
    assert sorted(data.test.names) == ["burger/6.jpg", "burger/7.jpg", "greek_salad/6.jpg", "greek_salad/7.jpg"]
    assert len(data.train) + len(data.validation) == 12
    assert not set(data.train.kinds) & {"pancakes", "sushi"}
    assert set(data.owner_support.kinds) == {"pancakes"}
    assert (data.owner_support.labels == 1).all()
    assert data.origin == (
        f"24 photos of Food-101 (with its own test set) from the folder {food101.parent.name}, of 3 kinds."
    )


def test_no_more_than_wanted(food101: Path, wanted: Wanted) -> None:
    listing = list_food101(food101, replace(wanted, maximum_per_kind=5))
    kinds = [photo.kind for photo in listing.photos]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"greek_salad": 5, "burger": 5, "pancakes": 5}


def test_missing_meta(food101: Path, wanted: Wanted) -> None:
    for path in (food101 / "meta").glob("test.*"):
        path.unlink()
    result = find_food101(food101.parent)
    assert result == food101
    with pytest.raises(DataError, match=r"meta: contains neither test\.txt nor test\.json; extract"):
        list_food101(result, wanted)


def test_a_missing_picture_is_named(food101: Path, wanted: Wanted) -> None:
    (food101 / "images" / "burger" / "3.jpg").unlink()
    assert list_food101(food101, wanted).skipped == ("burger/3.jpg: is named in meta/train but missing",)


@pytest.mark.parametrize("entry", ["burger/../../etc/passwd", "/etc/passwd", "burger", "burger/1/2"])
def test_an_entry_that_leads_elsewhere(food101: Path, wanted: Wanted, entry: str) -> None:
    (food101 / "meta" / "train.txt").write_text(entry)
    with pytest.raises(DataError, match=r"train\.txt: contains .*, expected lines such as pancakes/1001"):
        list_food101(food101, wanted)


@pytest.mark.parametrize("text", ["[1, 2]", "{", '{"burger": 3}', "[" * 100_000])
def test_damaged_json(food101: Path, wanted: Wanted, text: str) -> None:
    (food101 / "meta" / "train.txt").unlink()
    (food101 / "meta" / "train.json").write_text(text)
    with pytest.raises(DataError, match=r"train\.json: is not a list of pictures"):
        list_food101(food101, wanted)


def test_a_folder_of_classes_is_not_food101(tmp_path: Path) -> None:
    for name in ("images", "salad"):
        (tmp_path / name).mkdir()
    assert find_food101(tmp_path) is None


def test_without_a_label(food101: Path, wanted: Wanted) -> None:
    with pytest.raises(DataError, match="no pictures for the label 'fast-food'"):
        list_food101(food101, replace(wanted, kinds={"greek_salad": "healthy", "fries": "fast-food"}))
