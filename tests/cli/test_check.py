"""`check` as a user calls it: what is printed, and the exit status."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from coreml_updatable.checking import check as check_model
from coreml_updatable.cli.commands.check import check
from coreml_updatable.spec.io import write_model
from tests.broken_models import parameters, valid

app = typer.Typer()
app.command()(check)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    models = {"good": valid.classifier(), "wrong": parameters.no_optimizer(), "doubtful": parameters.momentum_outside()}
    paths = {name: tmp_path / f"{name}.mlmodel" for name in models}
    for name, model in models.items():
        write_model(model, paths[name])
    return paths


@pytest.mark.parametrize(
    ("names", "options", "status"),
    [
        (["good"], [], 0),
        (["wrong"], [], 1),
        (["good", "wrong"], [], 1),
        (["doubtful"], [], 0),
        (["doubtful"], ["--strict"], 1),
        (["good"], ["--strict"], 0),
        ([], [], 2),
        (["good"], ["--nonsense"], 2),
    ],
)
def test_exit_status(files: dict[str, Path], names: list[str], options: list[str], status: int) -> None:
    result = CliRunner().invoke(app, [*(str(files[name]) for name in names), *options])
    assert result.exit_code == status


def test_every_problem_is_a_line(files: dict[str, Path]) -> None:
    result = CliRunner().invoke(app, [str(files["good"]), str(files["wrong"])])
    (problem,) = check_model(files["wrong"])
    assert result.stdout.splitlines() == [f"{files['good']}: no problems", f"{files['wrong']}: {problem}"]


def test_json(files: dict[str, Path]) -> None:
    result = CliRunner().invoke(app, [str(files["good"]), str(files["wrong"]), "--json"])
    report = json.loads(result.stdout)
    assert report[str(files["good"])] == []
    (problem,) = report[str(files["wrong"])]
    assert (problem["rule"], problem["thread"]) == ("N7.1", None)
    assert "mark" in problem["remedy"]


def test_a_file_that_cannot_be_read_does_not_stop_the_judging_of_the_others(files: dict[str, Path]) -> None:
    broken = files["good"].with_name("broken.mlmodel")
    broken.write_bytes(files["good"].read_bytes()[:-7])
    result = CliRunner().invoke(app, [str(broken), str(files["wrong"]), str(files["good"])])
    assert result.exit_code == 1
    assert "N7.1" in result.stdout
    assert "good.mlmodel: no problems" in result.stdout
    assert "broken.mlmodel: is not a Core ML model" in result.stderr
    assert CliRunner().invoke(app, [str(files["good"].with_name("none.mlmodel"))]).exit_code == 1
