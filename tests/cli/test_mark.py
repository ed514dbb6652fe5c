"""`mark` as a user calls it: the file written, what is said, and the exit status."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from coreml_updatable.checking import check
from coreml_updatable.converting.trial_rows import trial_rows
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes, read_model, write_model
from coreml_updatable.spec.messages import Model_pb2
from coreml_updatable.updating import UpdateTask
from coreml_updatable.updating.assumptions import Assumptions
from tests.broken_models import valid
from tests.cli.conftest import Run
from tests.marking.networks import LABELS, converted, network
from tests.marking.test_linear_models import text_classifier


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Logits behind a reshapeStatic, as coremltools converts a torch network."""
    path = tmp_path / "source.mlmodel"
    write_model(converted("pooled linear, logits", image=True), path)
    return path


@pytest.fixture
def marked(run: Run, source: Path) -> Path:
    out = source.with_name("marked.mlmodel")
    ran = run("mark", source, "-o", out, "--labels", "a,b,c", "--learning-rate", "0.1:0.001..1", "--epochs", "5:1,5,20")
    assert ran.status == 0, ran.err
    assert "reshapeStatic became flatten" in ran.out
    assert "fc is updatable; predictions agree within" in ran.out
    return out


def test_a_marked_model_breaks_no_rule_answers_as_torch_and_learns(marked: Path) -> None:
    model = read_model(marked)
    assert check(model) == []
    runnable = load(model)
    rows = trial_rows(model, 6)
    pixels = torch.tensor(np.stack([row["image"] for row in rows])).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = network("pooled linear, logits")(pixels).softmax(1).numpy()
    name = model.description.predictedProbabilitiesName
    said = [[answer[name][label] for label in LABELS] for answer in runnable.predict(rows)]
    np.testing.assert_allclose(said, expected, atol=1e-5)
    target = model.description.predictedFeatureName
    training = [{**row, target: LABELS[index % 3]} for index, row in enumerate(rows)]
    mean = Assumptions(epoch_loss="mean over rows")  # the last mini-batch alone may be an easy or a hard one
    first = UpdateTask(runnable, training, parameters={"epochs": 1, "miniBatchSize": 2}, assumptions=mean).resume()
    longer = UpdateTask(runnable, training, parameters={"epochs": 20, "miniBatchSize": 2}, assumptions=mean).resume()
    assert float(longer.metrics["lossValue"]) < float(first.metrics["lossValue"])


def test_parameters_are_those_given(marked: Path) -> None:
    update = read_model(marked).neuralNetworkClassifier.updateParams
    rate = update.optimizer.sgdOptimizer.learningRate
    assert (rate.defaultValue, rate.range.minValue, rate.range.maxValue) == (0.1, 0.001, 1.0)
    assert (update.epochs.defaultValue, list(update.epochs.set.values)) == (5, [1, 5, 20])


def test_marking_again_changes_nothing_and_new_parameters_replace_the_old(run: Run, marked: Path) -> None:
    again = marked.with_name("again.mlmodel")
    options = ["--learning-rate", "0.1:0.001..1", "--epochs", "5:1,5,20"]
    assert run("mark", marked, "-o", again, *options).status == 0
    assert again.read_bytes() == marked.read_bytes()
    assert run("mark", marked, "-o", again, "--optimizer", "adam", "--mini-batch", "1", "--no-shuffle").status == 0
    update = read_model(again).neuralNetworkClassifier.updateParams
    assert update.optimizer.WhichOneof("OptimizerType") == "adamOptimizer"
    assert list(update.epochs.set.values) == []
    assert not update.shuffle.defaultValue


def test_a_dry_run_writes_nothing(run: Run, source: Path) -> None:
    before = sorted(source.parent.iterdir())
    ran = run("mark", source, "--labels", "a,b,c", "--dry-run", "--json")
    report = json.loads(ran.out)
    assert (ran.status, report["model"], report["updatable"]) == (0, None, ["fc"])
    assert len(report["repairs"]) == 3  # the last says what layers are called now
    assert report["repairs"][-1].startswith("layers have readable names: ")
    assert report["largest_difference"] < 1e-5
    assert "nothing written: fc would be updatable" in run("mark", source, "--labels", "a,b,c", "--dry-run").out
    assert sorted(source.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--learning-rate", "fast"], "--learning-rate fast: 'fast' is not a number, expected one, such as 10:1..100"),
        (["--learning-rate", "0.1:1,2"], "--learning-rate 0.1:1,2: '1,2' is not a range, expected least..most"),
        (["--epochs", "1.5"], "--epochs 1.5: '1.5' is not an integer, expected one"),
        (["--mini-batch", "8:1.."], "--mini-batch 8:1..: '' is not an integer, expected one"),
        (["--layers", "fc", "--last", "2"], "--last has no effect with --layers; omit one of them"),
        (["--optimizer", "adam", "--momentum", "0.9"], "--momentum has no effect with --optimizer adam; omit it"),
        (["--beta1", "0.9"], "--beta1 has no effect with --optimizer sgd; omit it"),
    ],
)
def test_parameters_that_cannot_be_read(run: Run, source: Path, options: list[str], sentence: str) -> None:
    ran = run("mark", source, "-o", source.with_name("out.mlmodel"), *options)
    assert ran.status == 2
    assert sentence in " ".join(ran.err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--learning-rate", "-1"], "learningRate: the default is -1, expected more than 0; 0.01 is usual"),
        (["--momentum", "2"], "momentum: allows 2, expected 0 to 1; change the default or the range"),
    ],
)
def test_parameters_with_which_nothing_is_learned(run: Run, source: Path, options: list[str], sentence: str) -> None:
    out = source.with_name("out.mlmodel")
    ran = run("mark", source, "-o", out, "--labels", "a,b,c", *options)
    assert (ran.status, ran.out, ran.err) == (1, "", f"coreml-updatable: {sentence}\n")
    assert not out.exists()


def test_a_file_for_the_result_must_be_named(run: Run, source: Path) -> None:
    ran = run("mark", source)
    assert ran.status == 2
    assert "-o is required" in " ".join(ran.err.replace("│", " ").split())
    ran = run("mark", source, "-o", source.parent)
    assert ran.status == 2
    assert "is a folder; name a file in it" in " ".join(ran.err.replace("│", " ").split())


def test_what_cannot_be_marked_leaves_the_old_file(run: Run, source: Path, tmp_path: Path) -> None:
    program = Model_pb2.Model(specificationVersion=7)
    program.mlProgram.version = 1
    wrong = {
        "random": os.urandom(64),
        "truncated": source.read_bytes()[:-40],
        "empty": b"",
        "program": model_bytes(program),
    }
    out = tmp_path / "old.mlmodel"
    out.write_bytes(b"old")
    for name, content in wrong.items():
        path = tmp_path / f"{name}.mlmodel"
        path.write_bytes(content)
        ran = run("mark", path, "-o", out)
        assert ran.status == 1, name
        assert ran.err.startswith("coreml-updatable: "), name
        assert len(ran.err.splitlines()) == 1, name
    for options in (["--labels", "a,b"], ["--labels", "a,b,c", "--epochs", "10:1..5"], ["--last", "9"]):
        ran = run("mark", source, "-o", out, *options)
        assert (ran.status, len(ran.err.splitlines())) == (1, 1), ran.err
    assert out.read_bytes() == b"old"


def test_a_result_that_breaks_a_rule_is_not_written(run: Run, tmp_path: Path) -> None:
    model = valid.classifier()
    model.description.predictedProbabilitiesName = "gone"
    given, out = tmp_path / "given.mlmodel", tmp_path / "out.mlmodel"
    write_model(model, given)
    ran = run("mark", given, "-o", out)
    assert ran.status == 1
    assert "marked model: predictedProbabilitiesName: is 'gone', which is not an output" in ran.err
    assert ran.err.endswith("(error N8b.3)\n")
    assert not out.exists()


def test_a_picture_of_absurd_size(run: Run, source: Path) -> None:
    model = read_model(source)
    model.description.input[0].type.imageType.width = 2**40
    write_model(model, source)
    ran = run("mark", source, "-o", source.with_name("out.mlmodel"), "--labels", "a,b,c")
    assert (ran.status, len(ran.err.splitlines())) == (1, 1), ran.err
    assert "declares the size" in ran.err


def test_a_linear_classifier_in_a_pipeline(run: Run, tmp_path: Path) -> None:
    given, out = tmp_path / "given.mlmodel", tmp_path / "out.mlmodel"
    write_model(text_classifier()[2], given)
    ran = run("mark", given, "-o", out)
    assert ran.status == 0, ran.err
    assert "glmClassifier became innerProduct and softmax, with the same predictions" in ran.out
    assert "fc is updatable; predictions agree within" in ran.out
    assert run("check", out).status == 0
    assert run("mark", given, "-o", out, "--layers", "f").status == 1
    assert read_model(out).isUpdatable
