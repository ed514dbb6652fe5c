"""The keys of a build do not change by what the build itself writes, wherever that is, nor twice by its data."""

import re
import shutil
from pathlib import Path

import pytest

from coreml_updatable.building.cache import sample_code_digest
from coreml_updatable.building.request import BuildRequest, prepare
from coreml_updatable.errors import RecipeError
from tests.building.test_build import SHAPES, build


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHAPES, tmp_path / "shapes", ignore=shutil.ignore_patterns("__pycache__")))


def asked(folder: Path, out: Path, data: Path | None = None, recipe: str = "recipe.toml") -> BuildRequest:
    request = prepare(folder / recipe, data, None, None, out)
    assert isinstance(request, BuildRequest)
    return request


@pytest.mark.slow
def test_a_build_into_the_recipes_folder_stays_up_to_date(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    before = asked(folder, Path("build"))
    first = build(folder / "recipe.toml", folder / "build")
    assert first.returncode == 0, first.stderr
    assert (folder / "build" / "shapes" / "report.json").is_file()
    assert asked(folder, Path("build")) == before
    assert "is up to date" in build(folder / "recipe.toml", folder / "build").stderr


@pytest.mark.parametrize("out", ["build", "."])
def test_results_of_another_recipe_in_the_folder_do_not_count(folder: Path, out: str) -> None:
    shutil.copy(folder / "recipe.toml", folder / "other.toml")
    before = asked(folder, folder / out)
    target = asked(folder, folder / out, recipe="other.toml").target
    assert target == folder / out / "shapes-other"
    target.mkdir(parents=True)
    (target / "report.html").write_text("x")
    assert asked(folder, folder / out) == before


def test_code_beside_the_results_counts(folder: Path) -> None:
    before = asked(folder, folder / "code").key
    (folder / "code").mkdir()
    (folder / "code" / "more.py").write_text("x = 1")
    assert asked(folder, folder / "code").key != before


def test_trusted_code_in_another_folder_counts(folder: Path) -> None:
    (folder.parent / "outside.py").write_text("x = 1")
    recipe = (folder / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(re.sub(r'draw = "[^"]*"', 'draw = "../outside.py:draw"', recipe, count=1))
    before = prepare(folder / "recipe.toml", None, None, None, folder / "build", trust_code=True)
    assert before.recipe.trust_code
    assert isinstance(before, BuildRequest)
    (folder.parent / "outside.py").write_text("x = 2")
    after = prepare(folder / "recipe.toml", None, None, None, folder / "build", trust_code=True)
    assert isinstance(after, BuildRequest)
    assert after.data_key != before.data_key


def test_results_among_the_recipes_own_files_are_refused(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"the recipe's own files in .*; choose another"):
        asked(folder, folder.parent)


def test_photos_beside_the_recipe_count_once(folder: Path, tmp_path: Path) -> None:
    """What the data's own digest leaves out, a folder of no class, does not come in again as code."""
    for name in ("disc", "unknown"):
        (folder / "photos" / name).mkdir(parents=True)
        (folder / "photos" / name / "a.png").write_bytes(b"a")
    before, code = asked(folder, tmp_path / "build", folder / "photos").key, sample_code_digest(folder)
    (folder / "photos" / "unknown" / "a.png").write_bytes(b"b")
    assert asked(folder, tmp_path / "build", folder / "photos").key == before
    assert sample_code_digest(folder) != code  # the recipe's code might read it, where it is not the data
    (folder / "photos" / "adapting.py").write_text("x = 1")  # code, wherever it lies
    changed = asked(folder, tmp_path / "build", folder / "photos").key
    assert changed != before
    before = changed
    (folder / "photos" / "disc" / "a.png").write_bytes(b"b")
    assert asked(folder, tmp_path / "build", folder / "photos").key != before
