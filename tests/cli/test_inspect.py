"""`inspect` as a user calls it."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from coreml_updatable.checking import check
from coreml_updatable.cli.commands.inspect import inspect
from coreml_updatable.marking import describe
from coreml_updatable.spec.io import write_model
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.broken_models import graph, valid

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
    for text in (
        "Meals.mlmodel",
        "iOS 13, macOS 10.15 or later",
        "A. Author",
        "A [bold] photo.",
        "one of 1, 2, 3",
        "a, b, c",
    ):
        assert text in result.stdout


def test_nearest_neighbors(tmp_path: Path) -> None:
    write_model(valid.pipeline(), tmp_path / "pipeline.mlmodel")
    result = CliRunner().invoke(app, [str(tmp_path / "pipeline.mlmodel")])
    assert result.exit_code == 0
    for text in ("Pipeline Classifier", "Nearest neighbors", "numberOfNeighbors", "When empty", "unknown"):
        assert text in result.stdout


@pytest.mark.parametrize(
    ("build", "texts"),
    [
        (valid.support_vector_classifier, ("Support Vector Classifier", "radial basis function, gamma 0.5", "4, sparse",
                                           "2, 1, 1", "Probabilities", "a, b, c")),
        (valid.support_vector_regressor, ("Support Vector Regressor", "linear", "2, dense")),
        (valid.suppression, ("Non-Maximum Suppression", "boxes of the same class", "0.5, or the input 'iou'",
                             "0.2", "cat, dog")),
    ],
)  # fmt: skip
def test_machines_and_suppression(tmp_path: Path, build: Any, texts: tuple[str, ...]) -> None:
    write_model(build(), tmp_path / "one.mlmodel")
    result = CliRunner().invoke(app, [str(tmp_path / "one.mlmodel")])
    assert result.exit_code == 0
    for text in texts:
        assert text in result.stdout
    output = json.loads(CliRunner().invoke(app, [str(tmp_path / "one.mlmodel"), "--json"]).stdout)
    assert dict(output["facts"])


def test_a_file_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
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
        "import atexit, sys; from coreml_updatable.cli.commands.inspect import inspect; from pathlib import Path\n"
        "import typer; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"try: inspect(Path({str(file)!r}))\n"
        "except typer.Exit as left: assert left.exit_code == 0"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"torch", "coremltools", "matplotlib", "sklearn", "pydantic", "numpy", "rich"}
    assert not set(result.stderr.split()) & heavy


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"hello", "not a Core ML model"),
        (b"", "not a Core ML model"),
        (None, "cannot be read"),
        (Random(0).randbytes(5000), "not a Core ML model"),
        (valid.classifier().SerializeToString()[:-100], "not a Core ML model"),
        (valid.classifier().description.SerializeToString(), "not a Core ML model"),
    ],
    ids=["text", "empty", "none", "random", "truncated", "another protobuf"],
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


def spoilt(edit: Callable[[Model], object]) -> Model:
    model = valid.classifier()
    edit(model)
    return model


def set_field(message: Any, name: str, value: object) -> None:
    setattr(message, name, value)


PROBLEMS = {
    "N2.4": (1, spoilt(lambda m: valid.layer(m, "fc").innerProduct.weights.floatValue.pop())),
    "N2.1": (1, spoilt(lambda m: valid.layer(m, "conv").input.insert(0, "probabilities"))),
    "M1.2": (1, spoilt(lambda m: set_field(m, "specificationVersion", 1))),
    "L2.10": (0, graph.contradicting_channels()),
    "L1.13": (1, spoilt(lambda m: m.description.input[0].type.multiArrayType.shape.append(2**62))),
    "L11.6": (
        0,
        spoilt(lambda m: valid.layer(m, "fc").innerProduct.weights.floatValue.__setitem__(0, float("nan"))),
    ),
}


@pytest.mark.parametrize("rule", PROBLEMS)
def test_what_check_finds_stands_on_top(tmp_path: Path, rule: str) -> None:
    status, model = PROBLEMS[rule]
    write_model(model, tmp_path / "m.mlmodel")
    result = CliRunner().invoke(app, [str(tmp_path / "m.mlmodel")])
    output = [problem for problem in check(model) if problem.rule == rule]
    assert output
    assert result.exit_code == status
    assert str(output[0]) in result.stdout.partition("Problems\n")[2].partition("\n\n")[0]
    as_json = CliRunner().invoke(app, [str(tmp_path / "m.mlmodel"), "--json"])
    assert as_json.exit_code == status
    assert json.loads(as_json.stdout)["problems"] == [asdict(problem) for problem in check(model)]


def test_many_problems_of_one_rule_are_counted(tmp_path: Path) -> None:
    model = valid.classifier()
    for index in range(9):
        model.neuralNetworkClassifier.layers.add(
            name=f"{index}", input=[f"none{index}"], output=[f"out{index}"]
        ).softmax.SetInParent()
    write_model(model, tmp_path / "m.mlmodel")
    result = CliRunner().invoke(app, [str(tmp_path / "m.mlmodel")])
    assert result.stdout.count("which nothing before it writes") == 3
    assert "… and 6 more of N2.1" in result.stdout


def test_what_is_newer_than_the_version_is_named(tmp_path: Path) -> None:
    model = valid.exact()
    model.specificationVersion = 1
    write_model(model, tmp_path / "m.mlmodel")
    result = CliRunner().invoke(app, [str(tmp_path / "m.mlmodel")])
    assert "layer 'squeeze' (squeeze) needs version 4" in result.stdout
    assert "iOS 13, macOS 10.15 or later" in result.stdout


def test_a_fault_of_a_member_counts(tmp_path: Path) -> None:
    model = valid.pipeline()
    model.pipelineClassifier.pipeline.models[0].neuralNetwork.layers[0].input[0] = "none"
    write_model(model, tmp_path / "m.mlmodel")
    result = CliRunner().invoke(app, [str(tmp_path / "m.mlmodel")])
    assert result.exit_code == 1
    assert "models[0]: " in result.stdout
    assert "reads 'none', which nothing before it writes" in result.stdout


def test_an_ml_program_is_told_the_way_out(tmp_path: Path) -> None:
    program = Model_pb2.Model(specificationVersion=7)
    program.mlProgram.version = 1
    for features in (program.description.input, program.description.output):
        features.add(name=f"x{len(program.description.input)}").type.CopyFrom(valid.plain().description.input[0].type)
    write_model(program, tmp_path / "m.mlmodel")
    result = CliRunner().invoke(app, [str(tmp_path / "m.mlmodel")])
    assert result.exit_code == 0
    problems = result.stdout.partition("Problems\n")[2].partition("\n\n")[0]
    assert "ML program" in problems
    assert "convert_to='neuralnetwork'" in problems


def test_the_memory_of_the_head(file: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, [str(file)]).stdout
    assert "at least 6.4 KB (weights 1.7 KB, gradients 1.7 KB, optimizer 1.7 KB, activations 1.2 KB" in shown
    model = valid.classifier()
    model.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=1, upperBound=9)
    write_model(model, tmp_path / "open.mlmodel")
    shown = CliRunner().invoke(app, [str(tmp_path / "open.mlmodel")]).stdout
    assert "activations unknown, because a shape is not fixed" in shown
