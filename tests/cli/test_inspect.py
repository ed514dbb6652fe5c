"""`inspect` as a user calls it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from coreml_updatable.cli.inspect import inspect
from coreml_updatable.marking import describe
from coreml_updatable.spec.writing import write_model
from tests.broken_models import valid

app = typer.Typer()
app.command()(inspect)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Meals.mlmodel"
    write_model(describe(valid.classifier(), features={"image": "A [bold] photo."}, author="A. Author"), path)
    return path


def test_the_sections_of_xcodes_page(file: Path) -> None:
    result = CliRunner().invoke(app, [str(file)])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    places = [lines.index(title) for title in ("General", "Predictions", "Update", "Parameters", "Layers")]
    assert places == sorted(places)
    for text in ("Meals.mlmodel", "iOS 13 or later", "A. Author", "A [bold] photo.", "one of 1, 2, 3", "a, b, c"):
        assert text in result.stdout


def test_nearest_neighbors(tmp_path: Path) -> None:
    write_model(valid.pipeline(), tmp_path / "twin.mlmodel")
    result = CliRunner().invoke(app, [str(tmp_path / "twin.mlmodel")])
    assert result.exit_code == 0
    for text in ("Pipeline Classifier", "Nearest neighbors", "numberOfNeighbors", "When empty", "unknown"):
        assert text in result.stdout


def test_a_file_can_not_speak_to_the_terminal(tmp_path: Path) -> None:
    hostile = "\x1b[2Jgone \u202egnp.exe\u2066\u200b\x9b\r\n"
    model = describe(valid.classifier(), author=hostile, user_defined={hostile: hostile})
    valid.layer(model, "conv").name = hostile
    model.description.input[0].shortDescription = hostile
    model.neuralNetworkClassifier.stringClassLabels.vector[0] = hostile
    write_model(model, tmp_path / "m\u202e.mlmodel")
    result = CliRunner().invoke(app, [str(tmp_path / "m\u202e.mlmodel")])
    assert all(character.isprintable() for character in result.stdout.replace("\n", ""))
    assert result.stdout.count("\\x1b[2Jgone \\u202egnp.exe\\u2066\\u200b\\x9b\\r\\n") == 6


def test_json(file: Path) -> None:
    result = CliRunner().invoke(app, [str(file), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["update"]["layers"] == ["fc"]


def test_json_is_ascii(tmp_path: Path) -> None:
    write_model(describe(valid.classifier(), author="é \u202e \x1b"), tmp_path / "m.mlmodel")
    result = CliRunner().invoke(app, [str(tmp_path / "m.mlmodel"), "--json"])
    assert result.stdout.isascii()
    assert "\x1b" not in result.stdout
    assert json.loads(result.stdout)["author"] == "é \u202e \x1b"


def test_nothing_heavy_is_imported(file: Path) -> None:
    program = (
        "import sys; from coreml_updatable.cli.inspect import inspect; from pathlib import Path\n"
        f"inspect(Path({str(file)!r})); print(*sys.modules, file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"torch", "coremltools", "matplotlib", "sklearn", "pydantic", "numpy", "rich"}
    assert not set(result.stderr.split()) & heavy


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"hello", "not a Core ML model"), (b"", "not a Core ML model"), (None, "can not be read")],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "wrong.mlmodel"
    if content is not None:
        path.write_bytes(content)
    command = [sys.executable, "-c", "from coreml_updatable.cli import main; main()", "inspect", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert sentence in result.stderr
