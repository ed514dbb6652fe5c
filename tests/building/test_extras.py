"""What a converter lacks, read from a package's metadata on disk."""

import json
import shlex
import shutil
import subprocess
from importlib.metadata import EntryPoint, PathDistribution
from pathlib import Path
from typing import Any

import pytest

from coreml_updatable.building.recipe_extras import extras_of
from coreml_updatable.cli.commands.converters import facts_of
from coreml_updatable.converting.registry import GROUP, find_converter, needs_of
from coreml_updatable.errors import RecipeError
from coreml_updatable.installing import install_command
from coreml_updatable.recipes.find import find_recipe, known_samples
from tests.cli.conftest import Run, run

__all__ = ["run"]
SAMPLES = Path(__file__).parents[2] / "sample_models"

METADATA = """Metadata-Version: 2.1
Name: other-package
Version: 1.0
Requires-Dist: numpy
Requires-Dist: numpy>=2; extra == "here"
Requires-Dist: numpy>=999; extra == "newer"
Requires-Dist: no-such-package-at-all; extra == "absent"
Requires-Dist: another-absent-one; extra == "absent" and python_version < "3"
"""


@pytest.fixture
def distribution(tmp_path: Path) -> PathDistribution:
    folder = tmp_path / "other_package-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA)
    return PathDistribution(folder)


@pytest.mark.parametrize(
    ("extras", "missing", "installed"),
    [
        ("", (), ""),
        ("[here]", (), ""),
        ("[newer]", ("numpy>=999",), "numpy>=999"),
        ("[absent]", ("no-such-package-at-all",), "no-such-package-at-all"),
        ("[here,absent]", ("no-such-package-at-all",), "numpy>=2 no-such-package-at-all"),
    ],
)
def test_what_is_missing(distribution: PathDistribution, extras: str, missing: tuple[str, ...], installed: str) -> None:
    entry = EntryPoint("mine", f"no_such_module:convert {extras}", GROUP)
    vars(entry).update(dist=distribution)
    command = needs_of(entry).command
    assert needs_of(entry).missing == missing
    pip, _, wanted = command.partition(" install ")
    assert shlex.split(wanted) == installed.split()  # a package that lies on no index: what its extra stands for
    assert (pip == "") == (missing == ())
    facts = facts_of(entry)
    assert (facts.missing, facts.command, facts.endings) == (missing, command, ())
    assert facts.summary == entry.value  # whose module cannot be found


def test_the_command_of_a_checkout(tmp_path: Path, distribution: PathDistribution, monkeypatch: Any) -> None:
    (tmp_path / "a b").mkdir()
    result = {"url": f"{tmp_path.as_uri()}/a%20b", "dir_info": {"editable": True}}
    (tmp_path / "other_package-1.0.dist-info" / "direct_url.json").write_text(json.dumps(result))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b" / "constraints.txt").touch()
    wanted = shlex.split(install_command("newer", "here", package=distribution).partition(" install ")[2])
    assert wanted == ["-e", "a b[newer,here]", "-c", "a b/constraints.txt"]
    monkeypatch.chdir(tmp_path / "a b")
    assert shlex.split(install_command("here", package=distribution).partition(" install ")[2]) == [
        "-e",
        ".[here]",
        "-c",
        "constraints.txt",
    ]


def test_the_command_works_here() -> None:
    """pip itself resolves it, in this very Python."""
    command = [*shlex.split(install_command("sound", "faiss")), "--dry-run", "--no-deps"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "does not provide the extra" not in result.stderr


def test_the_extras_of_the_samples() -> None:
    result = {name: extras_of(find_recipe(name, SAMPLES)) for name in known_samples(SAMPLES)}
    assert {name: extras for name, extras in result.items() if extras} == {
        "segmenter": ("vision",),
        "style_filter": ("photos",),
        "sound_id": ("sound",),
        "speaker_id": ("sound",),
    }
    luncher = find_recipe("healthy_luncher", SAMPLES)
    assert extras_of(luncher, "timm:mobilenetv3_small_100") == ("vision",)


def test_an_extra_that_there_is_none_of(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'extras = ["vison"]\n{(SAMPLES / "handwritten" / "recipe.toml").read_text()}')
    with pytest.raises(RecipeError, match="unknown extra 'vison'; did you mean 'vision'"):
        extras_of(recipe)


@pytest.mark.parametrize("name", ["segmenter", "handwritten"])
def test_what_is_missing_is_told_before_anything_is_built(
    name: str, tmp_path: Path, monkeypatch: Any, run: Run
) -> None:
    monkeypatch.setattr("coreml_updatable.converting.registry.missing", lambda requirement: requirement.name == "timm")
    sample = shutil.copytree(SAMPLES / name, tmp_path / name)
    for path in sample.glob("*.toml"):
        if name != "segmenter":
            path.write_text(f'extras = ["vision"]\n{path.read_text()}')
    ran = run("build", sample, "--out", tmp_path / "out")
    assert ran.status == 1
    assert f"timm is not installed; run: {install_command('vision')}\n" in ran.err
    assert not (tmp_path / "out").exists()
    assert run("extras", sample).out == "vision\n"
    monkeypatch.undo()


def test_an_entry_point_of_no_package_needs_nothing() -> None:
    assert needs_of(EntryPoint("mine", "module:convert [extra]", GROUP)).missing == ()


def test_what_is_said_of_our_own() -> None:
    facts = facts_of(find_converter("sklearn"))
    assert facts.summary.startswith("scikit-learn: ")
    assert ".skops" in facts.endings
    assert facts.missing == ()
