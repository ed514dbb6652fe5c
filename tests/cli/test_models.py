"""`models` builds what can be built, in order, and says at which sample it stopped."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coreml_updatable.cli.commands.models import every_sample, left_out
from coreml_updatable.recipes.file import read_recipe
from coreml_updatable.recipes.find import known_samples
from docs.pages.samples import BEGIN, END, write

SHAPES = Path(__file__).parents[1] / "building" / "shapes"
SAMPLES = Path(__file__).parents[2] / "sample_models"


def models(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from coreml_updatable.cli import main; main()", "models", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def copied(samples: Path, name: str, *changes: tuple[str, str]) -> None:
    shutil.copytree(SHAPES, samples / name, ignore=shutil.ignore_patterns("__pycache__"))
    recipe = samples / name / "recipe.toml"
    for old, new in changes:
        assert old in recipe.read_text()
        recipe.write_text(recipe.read_text().replace(old, new))


@pytest.mark.slow
def test_one_after_the_other_until_one_fails(tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    drawn = ('draw = "drawing.py:draw"\ndrawn_kinds = ["square", "triangle", "disc"]\n', "")
    copied(samples, "a_mine", drawn)
    copied(samples, "b_good", ("seeds = [0, 1]", "seeds = [0]"), ("epochs = 12", "epochs = 3"))
    table = tmp_path / "table.md"
    table.write_text(f"{BEGIN}\n{END}\n")
    done = models("--out", tmp_path / "build", "--samples", samples)
    assert done.returncode == 0, done.stderr
    assert write(table, tmp_path / "build", samples) == 1
    assert "[1/2] a_mine: skipped, it has no data; build it with DATA=folder" in done.stderr
    assert [line[:12] for line in table.read_text().splitlines() if line.startswith("| `")] == ["| `b_good` |"]
    copied(samples, "c_bad", ("factory = ", "factori = "))
    copied(samples, "d_never")
    failed = models("--out", tmp_path / "build", "--samples", samples)
    assert failed.returncode == 1
    assert "b_good is up to date" in failed.stderr
    last = failed.stderr.splitlines()[-1]
    assert last.startswith("coreml-updatable: c_bad: ")
    assert last.endswith("; not built: d_never")
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "build" / "d_never").exists()


def test_no_samples(tmp_path: Path) -> None:
    done = models("--samples", tmp_path)
    assert done.returncode == 1
    assert "contains no sample models, expected folders with a recipe.toml" in done.stderr


def test_why_one_is_left_out() -> None:
    recipe = read_recipe(SAMPLES / "handwritten" / "recipe.toml")
    source = type(recipe.source).model_validate({"converter": "torch", "weights": "pretrained"})
    assert left_out(recipe) is None
    assert left_out(recipe.model_copy(update={"source": source})) == "its weights must be downloaded; build it by name"


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from coreml_updatable.converting.registry import Needs

    recipe = read_recipe(SAMPLES / "handwritten" / "recipe.toml")
    missing = Needs(("keras>=3",), "pip install 'x[keras]'")
    monkeypatch.setattr("coreml_updatable.cli.commands.models.needs_of", lambda _: missing)
    assert left_out(recipe) == "keras>=3 is not installed; run: pip install 'x[keras]'"


def test_every_sample_is_named() -> None:
    assert [name for name, _ in every_sample(SAMPLES)] == known_samples(SAMPLES)
