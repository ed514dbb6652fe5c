"""The short way of `inspect`, `diff` and `predict` is the parser's way, only faster."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from coreml_updatable.cli.app import app, look
from coreml_updatable.spec.io import write_model
from tests.broken_models import valid

RUN = "from coreml_updatable.cli import main; main()"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A classifier, another one, and a file that contradicts itself."""
    broken = valid.plain()
    broken.neuralNetwork.layers[0].input[0] = "none"
    for name, model in (("a", valid.classifier()), ("b", valid.adam_classifier()), ("c", broken)):
        write_model(model, tmp_path / f"{name}.mlmodel")
    return [str(tmp_path / f"{name}.mlmodel") for name in "abc"]


def test_both_ways_say_the_same(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    one, other, broken = files
    rows = str(Path(one).with_name("rows.npy"))
    np.save(rows, np.ones((3, 8, 8), np.float32))
    for arguments, status in (
        (["inspect", one], 0),
        (["inspect", "--json", one], 0),
        (["inspect", broken, "--json"], 1),
        (["diff", one, one], 0),
        (["diff", one, "--json", other], 1),
        (["diff", one, other], 1),
        (["predict", one, rows], 0),
        (["predict", one, rows, rows, "--json"], 0),
        (["predict", one, "missing.json", rows], 1),
    ):
        capsys.readouterr()
        assert look(arguments) == status
        short = capsys.readouterr().out
        parsed = CliRunner().invoke(app([arguments[0]]), arguments)
        assert (parsed.exit_code, parsed.stdout) == (status, short)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["inspect"],
        ["inspect", "a", "b"],
        ["inspect", "--help"],
        ["diff", "a"],
        ["diff", "a", "--nonsense"],
        ["predict", "a"],
        ["predict", "a", "b", "--top", "3"],
        ["check"],
    ],
)
def test_all_else_is_for_the_parser(arguments: list[str]) -> None:
    assert look(arguments) is None


def test_nothing_of_the_parser_is_imported(files: list[str]) -> None:
    program = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n" + RUN
    for arguments in (["inspect", files[0]], ["diff", files[0], files[0]]):
        command = [sys.executable, "-c", program, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        assert not set(result.stderr.split()) & {"pydantic", "rich", "numpy", "torch"}


def test_predict_imports_nothing_that_it_does_not_need(files: list[str], tmp_path: Path) -> None:
    rows = tmp_path / "rows.npy"
    np.save(rows, np.ones((3, 8, 8), np.float32))
    program = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n" + RUN
    command = [sys.executable, "-c", program, "predict", files[0], str(rows)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stderr.split()
    assert "torch" in loaded
    assert not {*loaded} & {"pydantic", "matplotlib", "sklearn", "coremltools.models", "onnxruntime"}
    assert not [name for name in loaded if name.startswith("coreml_updatable.updating.") and "assumptions" not in name]


def test_a_reader_that_has_seen_enough(files: list[str]) -> None:
    """As in `inspect m.mlmodel | head -1`: the pipe is closed before anything is written."""
    program = f"import os, sys; sys.stdin.read(); {RUN}"
    command = [sys.executable, "-c", program, "inspect", files[0]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        running.stdin.close()
        assert running.stderr.read() == b""
        assert running.wait() == 1
