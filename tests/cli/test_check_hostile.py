"""Wrong files of each kind under `check`: a sentence a problem, exit status 1, no traceback."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from coreml_updatable.spec.io import write_model
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of
from tests.broken_models import graph, valid, weights
from tests.cli.conftest import Run
from tests.cli.wrong_files import absurd_sizes, another_message, empty, picture, program, random_bytes, truncated


def circular() -> Model:
    model = valid.exact()
    valid.layer(model, "squeeze").input[0] = "y"
    return model


def contradiction_without_optimizer() -> Model:
    model = graph.contradicting_channels()
    network_of(model).updateParams.ClearField("optimizer")
    return model


def name_with_control_characters() -> Model:
    model = circular()
    valid.layer(model, "squeeze").name = "a\n\x1b[31mb"
    return model


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (truncated, "not a Core ML model"),
        (random_bytes, "not a Core ML model"),
        (empty, "not a Core ML model"),
        (another_message, "not a Core ML model"),
        (picture, "not a Core ML model"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--json",), ("--strict",)])
def test_files_that_are_no_networks(
    run: Run, tmp_path: Path, make: Callable[[], bytes], said: str, options: tuple[str, ...]
) -> None:
    path = tmp_path / "file.mlmodel"
    path.write_bytes(make())
    ran = run("check", path, *options)
    assert ran.status == 1
    (sentence,) = ran.err.splitlines()
    assert sentence.startswith(f"coreml-updatable: {path}: ")
    assert said in sentence
    assert ran.out.strip() in ("", "{}")


def test_an_ml_program_is_a_warning_that_says_what_to_do(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "file.mlmodel"
    path.write_bytes(program())
    ran = run("check", path)
    assert ran.err == ""
    assert "ML program" in ran.out
    assert "convert_to='neuralnetwork'" in ran.out
    assert run("check", path, "--strict").status == 1


@pytest.mark.parametrize(
    ("build", "rules", "status", "strict"),
    [
        (weights.short_weights, {"N2.4"}, 1, 1),
        (circular, {"N2.1"}, 1, 1),
        (name_with_control_characters, {"N2.1"}, 1, 1),
        (absurd_sizes, {"N2.4"}, 1, 1),
        (contradiction_without_optimizer, {"L2.10", "N7.1"}, 0, 1),
        (weights.infinite_weight, {"L11.6"}, 0, 1),
    ],
)
def test_models_that_are_wrong(
    run: Run, tmp_path: Path, build: Callable[[], Model], rules: set[str], status: int, strict: int
) -> None:
    path = tmp_path / "model.mlmodel"
    write_model(build(), path)
    ran = run("check", path)
    assert (ran.status, ran.err) == (status, "")
    assert all(line.startswith(f"{path}: ") for line in ran.out.splitlines())
    assert ran.out.replace("\n", "").isprintable()
    assert rules <= {rule for rule in rules if f" {rule}" in ran.out}
    assert run("check", path, "--strict").status == strict
    result = json.loads(run("check", path, "--json").out)[str(path)]
    assert rules <= {problem["rule"] for problem in result}
    assert len(result) == len(ran.out.splitlines())


@pytest.mark.parametrize(("arguments", "status"), [((), 2), (("--wrong",), 2), (("nowhere.mlmodel",), 1), (("/",), 1)])
def test_wrong_usage(run: Run, arguments: tuple[str, ...], status: int) -> None:
    ran = run("check", *arguments)
    assert ran.status == status
    assert "Traceback" not in ran.err
