"""`mark --loss`: the format's own words and short ones, and what does not fit."""

from pathlib import Path

import pytest

from coreml_updatable.checking import check
from coreml_updatable.spec.io import read_model, write_model
from coreml_updatable.spec.network import network_of
from tests.broken_models import valid
from tests.cli.conftest import Run
from tests.cli.test_mark_names import said
from tests.marking.networks import converted

CROSS_ENTROPY, SQUARED_ERROR = "categoricalCrossEntropyLossLayer", "meanSquaredErrorLossLayer"


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ([], CROSS_ENTROPY),
        (["--loss", "ce"], CROSS_ENTROPY),
        (["--loss", "categorical_cross_entropy"], CROSS_ENTROPY),
        (["--loss", "mse"], SQUARED_ERROR),
        (["--loss", "mean_squared_error"], SQUARED_ERROR),
        (["--loss", "mse", "--head", "new", "--last", "2"], SQUARED_ERROR),
    ],
)
def test_losses(run: Run, tmp_path: Path, options: list[str], kind: str) -> None:
    given, out = tmp_path / "given.mlmodel", tmp_path / "out.mlmodel"
    write_model(converted("two layers, logits"), given)
    ran = run("mark", given, "-o", out, *options)
    assert ran.status == 0, ran.err
    model = read_model(out)
    (loss,) = network_of(model).updateParams.lossLayers
    assert loss.WhichOneof("LossLayerType") == kind
    assert [problem for problem in check(model) if problem.severity == "error"] == []


def test_a_regressor_becomes_a_classifier_of_other_labels(run: Run, tmp_path: Path) -> None:
    given, out = tmp_path / "given.mlmodel", tmp_path / "out.mlmodel"
    model = converted("two layers, logits")
    result = type(model).FromString(model.SerializeToString())
    result.neuralNetworkRegressor.layers.extend(model.neuralNetwork.layers)
    result.neuralNetworkRegressor.arrayInputShapeMapping = model.neuralNetwork.arrayInputShapeMapping
    result.description.predictedFeatureName = model.description.output[0].name
    write_model(result, given)
    ran = run("mark", given, "-o", out, "--head", "new", "--labels", "low,high")
    assert ran.status == 0, ran.err
    assert "fc2 is updatable and new; with the old weights, predictions agree within" in ran.out
    assert read_model(out).WhichOneof("Type") == "neuralNetworkClassifier"


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        (["--loss", "mse"], 1, "loss: is mean_squared_error for a classifier"),
        (
            ["--loss", "hinge"],
            2,
            "--loss is 'hinge', expected one of 'categorical_cross_entropy', 'mean_squared_error', 'ce', 'mse'",
        ),
    ],
)
def test_losses_that_cannot_be(run: Run, tmp_path: Path, options: list[str], status: int, sentence: str) -> None:
    given, out = tmp_path / "given.mlmodel", tmp_path / "out.mlmodel"
    write_model(valid.classifier(), given)
    ran = run("mark", given, "-o", out, *options)
    assert (ran.status, out.exists()) == (status, False)
    assert sentence in said(ran.err)
