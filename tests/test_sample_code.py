"""A function from a file beside a recipe: found, or one sentence that says why not."""

from pathlib import Path

import pytest

from coreml_updatable.data.sample_code import load_function
from coreml_updatable.errors import RecipeError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "recipe"
    (place / "parts").mkdir(parents=True)
    (place / "drawing.py").write_text("from .parts.colours import RED\n\ndef draw(): return RED\n\nsize = 3\n")
    (place / "parts" / "colours.py").write_text("RED = 'red'\n")
    return place


def test_files_of_a_folder_may_import_each_other(folder: Path) -> None:
    assert load_function(folder, "drawing.py:draw")() == "red"


def test_two_folders_do_not_share_names(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "drawing.py").write_text("def draw(): return 'blue'\n")
    assert [load_function(place, "drawing.py:draw")() for place in (folder, tmp_path)] == ["red", "blue"]


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("../outside.py:draw", "is outside .*; keep .*in the recipe.s folder"),
        ("link.py:draw", "is outside .*; keep .*in the recipe.s folder"),
        ("none.py:draw", "none.py:draw: none.py does not exist in .*; check the name"),
        ("parts:draw", "parts:draw: parts does not exist in .*; check the name"),
        ("drawing.py:paint", "drawing.py has no function 'paint'; define it or correct the name"),
        ("drawing.py:size", "drawing.py has no function 'size'; define it or correct the name"),
        ("drawing.py", "drawing.py has no function ''; define it or correct the name"),
        ("leaving.py:draw", r"leaving.py: cannot be imported \(SystemExit: 3\); correct it"),
        ("broken.py:draw", r"broken.py: cannot be imported \(SyntaxError: .*\); correct it"),
        ("long.py:draw", r"long.py: cannot be imported \(ValueError: one two\); correct it"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(folder: Path, reference: str, sentence: str) -> None:
    (folder.parent / "outside.py").write_text("def draw(): raise AssertionError('ran')\n")
    (folder / "link.py").symlink_to(folder.parent / "outside.py")
    (folder / "leaving.py").write_text("raise SystemExit(3)\n")
    (folder / "broken.py").write_text("def draw(:\n")
    (folder / "long.py").write_text("raise ValueError('one\\ntwo')\n")
    with pytest.raises(RecipeError, match=sentence) as caught:
        load_function(folder, reference)
    assert "\n" not in str(caught.value)
