"""A folder of class folders: what is taken, what is named, what is refused in one sentence."""

import os
import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.data import folders
from coreml_updatable.data.folders import list_folder, read_files
from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.data.stored import StoredRows
from coreml_updatable.data.wanted import Wanted
from coreml_updatable.errors import DataError

Photos = Callable[..., Path]


def test_files_by_kind_sorted(photos: Photos, wanted: Wanted) -> None:
    folder = photos(salad=2, burger=2, pancakes=1)
    (folder / "burger" / "deeper").mkdir()
    (folder / "burger" / "0.png").rename(folder / "burger" / "deeper" / "z.png")
    for hidden in (folder / "salad" / ".DS_Store", folder / ".hidden"):
        hidden.write_bytes(b"x")
    (folder / ".git").mkdir()
    listing = list_folder(folder, wanted)
    assert [photo.name for photo in listing.photos] == [
        "burger/1.png",
        "burger/deeper/z.png",
        "pancakes/0.png",
        "salad/0.png",
        "salad/1.png",
    ]
    assert [photo.kind for photo in listing.photos] == ["burger", "burger", "pancakes", "salad", "salad"]
    assert listing.skipped == ()


def test_a_folder_named_as_a_label(photos: Photos, wanted: Wanted) -> None:
    folder = photos(healthy=1, fast__food=1, pancakes=1)
    kinds = {photo.kind for photo in list_folder(folder, wanted).photos}
    assert kinds == {"healthy", "fast-food", "pancakes"}
    assert [wanted.label_of(kind) for kind in ("healthy", "fast-food", "salad", "pancakes")] == [
        "healthy",
        "fast-food",
        "healthy",
        None,
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Salad", "did you mean 'salad'"),
        ("burgers", "did you mean 'burger'"),
        ("Greek Salad", "did you mean 'greek_salad'"),
        ("fast_food", "did you mean 'fast-food'"),
        ("xyz", "the names are burger, fast-food, fries, greek_salad, healthy, pancakes, salad"),
    ],
)
def test_misspelt_folder(photos: Photos, wanted: Wanted, name: str, hint: str) -> None:
    folder = photos(salad=1, burger=1, pancakes=1)
    shutil.copytree(folder / "salad", folder / name)
    with pytest.raises(DataError, match=f"{name}: is not a kind or label of the recipe; {hint}"):
        list_folder(folder, wanted)


def test_no_such_folder(tmp_path: Path, wanted: Wanted) -> None:
    with pytest.raises(DataError, match="none: does not exist, expected a folder with one folder per class"):
        list_folder(tmp_path / "none", wanted)


def test_empty_folder(tmp_path: Path, wanted: Wanted) -> None:
    with pytest.raises(DataError, match="contains no folders, expected one per class"):
        list_folder(tmp_path, wanted)


def test_only_one_class(photos: Photos, wanted: Wanted) -> None:
    with pytest.raises(
        DataError, match="no pictures for the label 'fast-food', expected a folder named burger, fast-food or fries"
    ):
        list_folder(photos(salad=3, pancakes=2), wanted)


def test_empty_class(photos: Photos, wanted: Wanted) -> None:
    with pytest.raises(DataError, match="fries: contains no pictures; add some or remove the folder"):
        list_folder(photos(salad=3, burger=3, fries=0, pancakes=2), wanted)


def test_without_the_owners_kind(photos: Photos, wanted: Wanted) -> None:
    folder = photos(salad=3, burger=3)
    with pytest.raises(DataError, match="no folder 'pancakes', which the owner's pictures come from"):
        list_folder(folder, wanted)
    assert len(list_folder(folder, replace(wanted, owners=())).photos) == 6


def test_links_that_lead_out(photos: Photos, wanted: Wanted, tmp_path: Path) -> None:
    folder = photos(salad=1, burger=1, pancakes=1)
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"x")
    (folder / "salad" / "link.png").symlink_to(secret)
    (folder / "salad" / "inside.png").symlink_to(folder / "salad" / "0.png")
    listing = list_folder(folder, wanted)
    assert listing.skipped == ("salad/link.png: is a link to a place outside the folder",)
    assert "salad/inside.png" in [photo.name for photo in listing.photos]
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder / "fries").symlink_to(outside)
    with pytest.raises(DataError, match="fries: is a link to a place outside"):
        list_folder(folder, wanted)


def test_a_pipe_is_no_picture(photos: Photos, wanted: Wanted) -> None:
    folder = photos(salad=1, burger=1, pancakes=1)
    os.mkfifo(folder / "salad" / "pipe.jpg")
    assert len(list_folder(folder, wanted).photos) == 3


def test_what_cannot_be_read_is_named_and_counted(photos: Photos, wanted: Wanted) -> None:
    folder = photos(salad=3, burger=2, pancakes=1)
    (folder / "salad" / "notes.jpg").write_text("just text")
    damaged = folder / "burger" / "damaged.png"
    damaged.write_bytes((folder / "burger" / "0.png").read_bytes()[:200])
    (folder / "burger" / "copy.png").write_bytes((folder / "burger" / "1.png").read_bytes())
    (folder / "loose.png").write_bytes(b"x")
    listing = list_folder(folder, wanted)
    steps: list[tuple[str, float, str]] = []
    read = read_files(listing.photos, wanted.input, lambda *step: steps.append(step))
    assert read.values.shape == (6, 24, 24, 3)
    assert len(read.photos) == 6
    sentences = [*listing.skipped, *read.skipped]
    assert len(sentences) == 4
    assert sentences[0] == "loose.png: is not in a class folder"
    assert [word for word in ("copy.png", "damaged.png", "notes.jpg") if any(word in line for line in sentences)] == [
        "copy.png",
        "damaged.png",
        "notes.jpg",
    ]
    assert "burger/copy.png" in sentences[2] or "burger/copy.png" in sentences[1]
    assert steps[-1] == ("data", 1.0, "9 of 9 photos read, 3 left out")


def test_a_class_with_nothing_readable(photos: Photos, wanted: Wanted) -> None:
    folder = photos(salad=2, burger=2, fries=0, pancakes=1)
    for name in ("a.jpg", "b.jpg"):
        (folder / "fries" / name).write_text("text")
    with pytest.raises(
        DataError, match=r"none of the 2 files of 'fries' can be used; the first reason: .*fries/a\.jpg: is not"
    ):
        read_files(list_folder(folder, wanted).photos, wanted.input)


def test_many_photos_are_not_held_in_memory(
    photos: Photos, wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photos(salad=30, burger=29, pancakes=1)
    (folder / "burger" / "torn.jpg").write_bytes(b"\xff\xd8 torn")
    target = ImageInput("image", 200, 200, "rgb")
    listed = list_folder(folder, wanted).photos
    inside = read_files(listed, target)
    monkeypatch.setattr(folders, "LARGE", 2**20)
    tracemalloc.start()
    read = read_files(listed, target, store=tmp_path / "rows")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < inside.values.nbytes / 2
    values: Any = read.values
    assert isinstance(values, StoredRows)
    assert (read.photos, read.skipped) == (inside.photos, inside.skipped)
    assert values.shape == inside.values.shape
    assert np.array_equal(values, inside.values)
    assert np.array_equal(np.stack(list(values)), inside.values)
    for key in (3, slice(2, 9), [5, 1, 5], np.array([True, False] * 30)):
        assert np.array_equal(values[key], inside.values[key])
        assert np.array_equal(values.part(np.arange(60)[::-1])[key], inside.values[::-1][key])


def test_a_folder_without_pictures_that_the_recipe_does_not_know_is_left_out(photos: Photos, wanted: Wanted) -> None:
    folder = photos(salad=2, burger=2, pancakes=2)
    (folder / "notes").mkdir()
    (folder / "notes" / "readme.txt").write_text("text")
    (folder / "later").mkdir()
    listing = list_folder(folder, wanted)
    assert len(listing.photos) == 6
    assert [line.partition(":")[0] for line in listing.skipped] == ["later", "notes"]
    shutil.copy(folder / "salad" / "0.png", folder / "notes")
    with pytest.raises(DataError, match="notes: is not a kind or label"):
        list_folder(folder, wanted)
