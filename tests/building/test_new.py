"""A recipe from a folder: what is proposed, what is said of the photos, and what is refused."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coreml_updatable.errors import DataError, RecipeError
from coreml_updatable.recipes.file import read_recipe
from coreml_updatable.recipes.new import proposal
from tests.cli.conftest import Run, run

__all__ = ["run"]


def photos(folder: Path, counts: dict[str, int], size: tuple[int, int] = (60, 50)) -> Path:
    """Soft noise: no two pictures are alike."""
    random = np.random.default_rng(0)
    for kind, count in counts.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            spots = random.integers(0, 256, (5, 5, 3), dtype=np.uint8)
            Image.fromarray(spots).resize(size, Image.Resampling.BICUBIC).save(folder / kind / f"{index}.png")
    return folder


def test_the_recipe_is_read_and_says_what_was_found(tmp_path: Path, run: Run) -> None:
    folder = photos(tmp_path / "photos", {"cat": 22, "dog": 21, 'wolf "grey"': 12, "größe": 20})
    ran = run("new", "Pets", "--data", str(folder), "--owner", 'wolf "grey"=dog', "--out", str(tmp_path / "mine"))
    assert ran.status == 0, ran.err
    path = tmp_path / "mine" / "recipe.toml"
    recipe = read_recipe(path)
    assert set(recipe.labels) == {"cat", "dog", "größe"}
    assert recipe.data.folder == "../photos"
    assert recipe.personalization is not None
    assert recipe.personalization.kinds == {'wolf "grey"': "dog"}
    assert recipe.personalization.shots[-1] + 2 <= 12
    assert recipe.source.options()["architecture"] == "efficientnet_lite0"
    assert (recipe.metadata.author, recipe.metadata.license) == ("", "")
    assert "12 photos" in ran.err
    again = run("new", "Pets", "--data", str(folder), "--out", str(tmp_path / "mine"))
    assert again.status == 2
    assert "--force" in again.err


def test_long_photos_are_scaled_and_not_cropped(tmp_path: Path) -> None:
    text, looked = proposal("Long", photos(tmp_path, {"a": 3, "b": 3}, (120, 50)))
    assert tomllib.loads(text)["input"]["fit"] == "scaleFill"
    assert any("6 of 6" in note for note in looked.notes)
    square, _ = proposal("Square", photos(tmp_path / "other", {"a": 3, "b": 3}, (60, 50)))
    assert tomllib.loads(square)["input"]["fit"] == "centerCrop"
    assert "personalization" not in tomllib.loads(square)


def test_what_stands_out_is_said(tmp_path: Path) -> None:
    folder = photos(tmp_path, {"a": 4, "b": 4})
    Image.open(folder / "a" / "0.png").save(folder / "b" / "copy.jpg", quality=70)
    (folder / "b" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (folder / "empty").mkdir()
    text, looked = proposal("Some", folder)
    said = " ".join(looked.notes)
    for fact in ("a/0.png and b/copy.jpg", "b/broken.png", "empty: holds no picture", "a: 4 photos"):
        assert fact in said
    assert tomllib.loads(text)["labels"] == ["a", "b"]


def test_files_left_out_for_one_reason_are_one_sentence(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", {"a": 3, "b": 3})
    for index in range(30):
        (folder / "a" / f"{index}.txt").write_text("text")
    (folder / "b" / "outside.png").symlink_to(Path(__file__))
    steps: list[str] = []
    _, looked = proposal("Some", folder, on_progress=lambda *step: steps.append(step[2]))
    said = [note for note in looked.notes if note.startswith("left out: ")]
    assert len(said) == 2
    assert "27 more" in said[0]
    assert "b/outside.png" in said[1]
    assert steps[-1] == "37 of 37 files looked at"


def test_folders_of_other_things_say_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "voice.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"none of the 1 files .* a/voice\.wav: .*sample_models"):
        proposal("Sounds", tmp_path)
    photos(tmp_path / "flat", {"": 3})
    with pytest.raises(DataError, match="3 files but no folders"):
        proposal("Flat", tmp_path / "flat")


def test_copies_of_one_photo_are_one_photo(tmp_path: Path) -> None:
    folder = photos(tmp_path, {"a": 4, "b": 1, "c": 2})
    for quality in (40, 95):
        Image.open(folder / "b" / "0.png").save(folder / "b" / f"{quality}.jpg", quality=quality)
    text, looked = proposal("Some", folder)
    (said,) = (note for note in looked.notes if note.startswith("b: "))
    assert "3 photos" in said
    assert "needs 2 that differ" in said
    assert tomllib.loads(text)["labels"] == ["a", "c"], "the recipe has a class that no build takes"


@pytest.mark.parametrize(
    ("name", "owner", "facts"),
    [
        ("1st", [], ["'1st'", "letter"]),
        ("A", ["a"], ["--owner a", "KIND=LABEL"]),
        ("A", ["c=a"], ["'c'", "a, b"]),
        ("A", ["aa=b"], ["did you mean 'a'"]),
        ("A", ["a=a"], ["another label"]),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path: Path, name: str, owner: list[str], facts: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        proposal(name, photos(tmp_path, {"a": 2, "b": 2}), owner)
    for fact in facts:
        assert fact in str(caught.value)


def test_a_folder_that_is_no_collection_of_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        proposal("A", tmp_path / "none")
    with pytest.raises(DataError, match="no folders"):
        proposal("A", tmp_path)
    with pytest.raises(DataError, match="at least two"):
        proposal("A", photos(tmp_path, {"a": 2, "b": 2}), ["a=b"])
