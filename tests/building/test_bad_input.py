"""What a user can get wrong at the command line: one sentence, its status, and the older results as they were."""

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coreml_updatable.cli.app import main
from tests.building.bad_photos import (
    a_cut_picture,
    a_file,
    a_giant,
    a_misspelt_class,
    an_empty_class,
    an_empty_folder,
    no_folder,
    no_owner,
    one_class,
    text_as_pictures,
    too_few,
)

ROOT = Path(__file__).parents[2]
SHAPES = Path(__file__).parent / "shapes"
OLD = {"Shapes.mlmodel": b"old model", "ShapesKNN.mlmodel": b"old k-NN", "report.html": b"old", "report.json": b"{}"}
Build = Callable[..., tuple[int, str]]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A recipe in ``shapes``, and in ``build/shapes`` older results that no mistake may touch."""
    shutil.copytree(SHAPES, tmp_path / "shapes", ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path / "build" / "shapes"
    target.mkdir(parents=True)
    for name, content in OLD.items():
        (target / name).write_bytes(content)
    yield tmp_path
    assert {name: (target / name).read_bytes() for name in OLD} == OLD
    assert {path.name for path in target.iterdir()} <= {*OLD, ".cache", ".lock"}


@pytest.fixture
def build(place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Build:
    """The command in this process: its status, and its one sentence."""

    def run(*more: str, recipe: str = "shapes/recipe.toml") -> tuple[int, str]:
        monkeypatch.chdir(place)
        monkeypatch.setattr(sys, "argv", ["coreml-updatable", "build", recipe, "--out", "build", *more])
        with pytest.raises(SystemExit) as left:
            main()
        output, said = capfd.readouterr()
        lines = [line for line in said.splitlines() if not line.startswith(("rehearsal ", "pictures "))]
        assert output == ""
        assert len(lines) == 1, said
        assert lines[0].startswith("coreml-updatable: ")
        assert isinstance(left.value.code, int)
        return left.value.code, lines[0].removeprefix("coreml-updatable: ")

    return run


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("", "MODEL is required; pass the path of a recipe.toml"),
        ("nope", "Unknown sample 'nope'; pass the path of a recipe.toml"),
        (".", ".: is a folder without a recipe.toml; pass"),
        ("none/recipe.toml", "none/recipe.toml: recipe does not exist"),
        ("recipe.toml", "recipe.toml: recipe does not exist"),
    ],
)
def test_a_model_that_is_none(build: Build, model: str, sentence: str) -> None:
    status, said = build(recipe=model)
    assert status == 2
    assert said.startswith(sentence)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("width = 24", 'width = "24"', "input.width is '24', expected an integer; correct it"),
        ("width = 24", "width = 4", "input.width is 4, expected at least 8; correct it"),
        ("held_out = 8", "held_out = 100000000", "personalization.held_out is 100000000, expected at most 10000"),
        ("default = 5, range", "default = 500, range", "update.epochs default 500 is outside its range [1, 50]; widen"),
        ('"angular", "round"', '"angular", "round", "thin"', "label 'thin' has no data"),
        ('name = "Shapes"', 'name = "a b"', "name is 'a b', expected a letter, then at most 63 letters, digits and"),
        ('"drawing.py:draw"', '"drawing.py"', "data.draw is 'drawing.py', expected \"file.py:function\"; correct it"),
        (
            '"torch"',
            '"toch"',
            "Unknown converter 'toch' (source.converter); did you mean 'torch'?",
        ),
        ('name = "Shapes"', "name =", "not valid TOML (Invalid value (at line 2, column 7)); correct that line"),
    ],
)
def test_a_wrong_recipe(place: Path, build: Build, old: str, new: str, sentence: str) -> None:
    recipe = place / "shapes" / "recipe.toml"
    text = recipe.read_text()
    assert old in text
    recipe.write_text(text.replace(old, new))
    status, said = build()
    assert status == 2
    assert sentence in said


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def draw(:", "cannot be imported (SyntaxError: invalid syntax (drawing.py, line 1)); correct it"),
        ("import sys; sys.exit(3)", "cannot be imported (SystemExit: 3); correct it"),
        ("raise ValueError('one\\ntwo')", "cannot be imported (ValueError: one two); correct it"),
        ("import nothing_of_that_name", "cannot be imported (ModuleNotFoundError: No module named"),
        ("drew = 1", "drawing.py:draw: drawing.py has no function 'draw'; define it or correct the name"),
    ],
)
def test_code_of_the_recipe_that_fails(place: Path, build: Build, code: str, sentence: str) -> None:
    (place / "shapes" / "drawing.py").write_text(code)
    status, said = build()
    assert status == 2
    assert sentence in said


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (no_folder, "photos: does not exist, expected a folder with one folder per class; check the path"),
        (a_file, "photos: does not exist, expected a folder with one folder per class; check the path"),
        (an_empty_folder, "photos: contains no folders, expected one per class, named angular, disc,"),
        (one_class, "photos: has no pictures for the label 'round', expected a folder named disc or round; add it"),
        (an_empty_class, "photos/disc: contains no pictures; add some or remove the folder"),
        (a_misspelt_class, "photos/sqare: is not a kind or label of the recipe; did you mean 'square'?"),
        (no_owner, "photos: holds no folder 'star', which the owner's pictures come from; add it, or drop"),
        (too_few, "photos: the owner's kind 'star' has 2 usable pictures, at least 5 are needed"),
        (text_as_pictures, "photos/disc: none of the 3 files of 'disc' can be used; the first reason: disc/a.jpg: "),
        (
            a_cut_picture,
            "photos/disc: none of the 5 files of 'disc' can be used; the first reason: disc/0.jpg: is damaged",
        ),
        (
            a_giant,
            "photos/disc: none of the 3 files of 'disc' can be used; the first reason: disc/giant0.png: 900,000,000 ",
        ),
    ],
)
def test_photos_that_are_none(place: Path, build: Build, make: Callable[[Path], None], sentence: str) -> None:
    make(place / "photos")
    status, said = build("--data", "photos")
    assert status == 1
    assert said.startswith(sentence)


class Bomb:
    """Would leave a file behind if it were ever unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch it_ran",)


def a_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"0.weight": Bomb()}))


def a_torch_file_with_a_pickle(path: Path) -> None:
    import torch

    torch.save({"0.weight": Bomb()}, path)


def other_weights(path: Path) -> None:
    import torch

    torch.save({"other": torch.zeros(3)}, path)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (no_folder, "weights.pt: weights file does not exist; check the path"),
        (Path.mkdir, "weights.pt: weights file does not exist; check the path"),
        (a_pickle, "weights.pt: contains Python objects beside tensors; loading it would run code, which can read"),
        (a_torch_file_with_a_pickle, "weights.pt: contains Python objects beside tensors; loading it would run code"),
        (other_weights, "weights.pt: has no tensor '0.weight' of shape [12, 3, 3, 3], which the network needs"),
    ],
)
def test_weights_that_are_none(place: Path, build: Build, make: Callable[[Path], None], sentence: str) -> None:
    make(place / "weights.pt")
    status, said = build("--weights", "weights.pt")
    assert status == 1
    assert sentence in said
    assert not (place / "it_ran").exists()


@pytest.mark.parametrize("backbone", ["mobilenet", "torchvison:mobilenet_v3_small", ""])
def test_a_backbone_of_no_library(build: Build, backbone: str) -> None:
    status, said = build("--backbone", backbone)
    assert status == 1
    names = '"efficientnet_lite0", "torchvision:NAME" or "timm:NAME"'
    assert f"source.architecture is {backbone!r}, expected {names}; correct it" in said


def test_a_file_where_the_builds_go(place: Path, build: Build) -> None:
    (place / "file").write_text("in the way")
    status, said = build("--out", "file")
    assert status == 1
    assert said == "file/shapes: is a file, expected a folder; move it or choose another --out"


def test_a_refused_build_leaves_no_folder(place: Path, build: Build) -> None:
    (place / "shapes" / "drawing.py").write_text("")
    assert build("--out", "new/builds")[0] == 2
    assert not (place / "new").exists()
    (place / "new" / "builds" / "shapes").mkdir(parents=True)
    (place / "new" / "builds" / "shapes" / "mine.txt").write_text("kept")
    assert build("--out", "new/builds")[0] == 2
    assert (place / "new" / "builds" / "shapes" / "mine.txt").read_text() == "kept"


def test_a_target_where_nothing_can_be_written(build: Build) -> None:
    """/proc lets nobody make a folder, whoever runs the test."""
    status, said = build("--out", "/proc/builds")
    assert status == 1
    assert said.startswith("/proc/builds: ")
    assert said.endswith("; check the path and its permissions")


def test_more_pictures_than_memory(place: Path) -> None:
    recipe = place / "shapes" / "recipe.toml"
    text = recipe.read_text().replace("= 24", "= 2048").replace("held_out = 8", "held_out = 10000")  # 126 GB
    recipe.write_text(text)
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**34, 2**34))\n"
        "from coreml_updatable.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "build", "shapes/recipe.toml", "--out", "build"]
    run = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("coreml-updatable: not enough memory (Unable to allocate ")
    assert run.stderr.endswith("; use fewer or smaller pictures\n")


def test_an_interrupt_is_one_sentence(place: Path) -> None:
    """The signal of Ctrl-C, sent while the first picture is drawn."""
    heard = "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # which shells turn off in the background
    code = f"import signal\n\n\ndef draw(*_: object) -> None:\n{heard}    signal.raise_signal(signal.SIGINT)\n"
    (place / "shapes" / "drawing.py").write_text(code)
    command = [sys.executable, "-c", "from coreml_updatable.cli import main; main()"]
    arguments = ["build", "shapes/recipe.toml", "--out", "build"]
    run = subprocess.run([*command, *arguments], cwd=place, capture_output=True, text=True, check=False)
    assert run.returncode == 130
    assert run.stderr.splitlines()[-1] == "coreml-updatable: stopped; older results are untouched"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["MODEL="], "MODEL is required; the samples are "),
        (["MODEL=it's"], 'Unknown sample "it\'s"; the samples are'),
        (["MODEL=healthy_lunch"], "Unknown sample 'healthy_lunch'; did you mean 'healthy_luncher'?"),
        (["MODEL=healthy_luncher", "DATA=no such $(folder)"], "no such $(folder): does not exist, expected a folder"),
    ],
)
def test_the_same_through_make(tmp_path: Path, settings: list[str], sentence: str) -> None:
    """The Makefile's own recipe, with this Python's environment in the place of .venv."""
    for name in ("Makefile", "sample_models", "setup.cfg", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "coreml-updatable"):
        (tmp_path / ".venv" / "bin" / name).symlink_to(Path(sys.executable).parent / name)
    (tmp_path / ".venv" / "installed").touch()
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "updatable", *settings]  # as from a shell, also where make runs these tests
    run = subprocess.run(command, cwd=tmp_path, env=outside, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stdout == ""
    first, *rest = run.stderr.splitlines()
    assert first.startswith(f"coreml-updatable: {sentence}")
    assert all(line.startswith("make: ") for line in rest)
