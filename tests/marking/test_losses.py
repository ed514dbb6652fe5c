"""Regressors and plain networks learn values by squared error; what is written is what coremltools' builder writes."""

import numpy as np
import pytest
import torch
from torch import nn

from coreml_updatable.checking import check
from coreml_updatable.converting.equivalence import ALLOWED_DIFFERENCE, unchanged
from coreml_updatable.errors import BuildError, ModelError
from coreml_updatable.marking import mark, marked
from coreml_updatable.marking.losses import Loss
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes
from coreml_updatable.updating import UpdateTask
from tests.broken_models import valid
from tests.marking.networks import convert, converted
from tests.marking.test_mark import SETTINGS, updatable


def values_of_pictures() -> nn.Module:
    torch.manual_seed(0)
    front = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    return nn.Sequential(front, nn.Linear(16, 6), nn.ReLU6(), nn.Linear(6, 2), nn.Sigmoid())


def unmarked(model: Model) -> Model:
    result = Model_pb2.Model()
    result.CopyFrom(model)
    result.isUpdatable = False
    del result.description.trainingInput[:]
    network_of(result).ClearField("updateParams")
    return result


@pytest.mark.parametrize("build", [valid.regressor, valid.plain], ids=["regressor", "plain"])
def test_loss_and_training_inputs_are_those_of_coremltools_builder(build: object) -> None:
    builders = build()  # type: ignore[operator]
    result = mark(unmarked(builders), SETTINGS, loss="mean_squared_error")
    assert check(result) == []
    theirs = network_of(builders).updateParams.lossLayers[0].meanSquaredErrorLossLayer
    ours = network_of(result).updateParams.lossLayers[0].meanSquaredErrorLossLayer
    assert (ours.input, ours.target) == (theirs.input, theirs.target)
    assert list(result.description.trainingInput) == list(builders.description.trainingInput)
    assert unchanged(builders, result) == 0


def test_a_regressor_learns_by_squared_error_and_so_does_a_single_number() -> None:
    assert loss_kind(mark(unmarked(valid.regressor()), SETTINGS)) == "meanSquaredErrorLossLayer"
    model = convert(nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1), nn.Sigmoid()), (1, 5))
    result = mark(model, SETTINGS, last=2)
    assert loss_kind(result) == "meanSquaredErrorLossLayer"
    assert check(result) == []
    assert unchanged(model, result) <= ALLOWED_DIFFERENCE
    assert loss_kind(mark(converted("two layers"), SETTINGS)) == "categoricalCrossEntropyLossLayer"


def test_a_tail_is_repaired_for_it_where_the_gradient_would_stop() -> None:
    before = convert(values_of_pictures(), (1, 3, 11, 11))
    result = marked(before, SETTINGS, last=3, loss="mean_squared_error")
    assert updatable(result.model) == ["conv", "fc1", "fc2"]
    assert any("became flatten" in note for note in result.repairs)
    assert any("clip became ReLU between" in note for note in result.repairs)
    assert check(result.model) == []
    assert unchanged(before, result.model) <= ALLOWED_DIFFERENCE
    output = str(before.description.output[0].name)
    assert blob_shapes(result.model)[output] == blob_shapes(before)[output] == (1, 2)
    assert model_bytes(mark(result.model, SETTINGS, last=3)) == model_bytes(result.model)
    rows = torch.rand(6, 1, 3, 11, 11, generator=torch.Generator().manual_seed(0)).numpy()
    wanted = [row.mean() * np.array([1.0, 0.2]) for row in rows]
    training = [{"image": row, f"{output}_true": want} for row, want in zip(rows, wanted, strict=True)]
    losses = [UpdateTask(result.model, training, {"epochs": n}).resume().metrics["lossValue"] for n in (1, 30)]
    assert losses[1] < losses[0]


def test_only_the_head_needs_no_repair() -> None:
    result = marked(
        convert(nn.Sequential(nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 2)), (1, 5)), SETTINGS, loss="mean_squared_error"
    )
    assert result.repairs == (
        "layers have readable names: linear_0 is now fc1, input is now tanh, linear_1 is now fc2",
    )
    (warning,) = check(result.model)
    assert (warning.rule, warning.severity) == ("L1983", "warning")  # an inner product before the loss


def test_a_regressor_of_a_single_double() -> None:
    model = unmarked(valid.regressor())
    layer = valid.layer(model, "fc2").innerProduct
    layer.outputChannels = 1
    del layer.weights.floatValue[layer.inputChannels :]
    model.description.output[0].type.doubleType.SetInParent()
    result = mark(model, SETTINGS)
    assert check(result) == []
    assert list(result.description.trainingInput[-1].type.multiArrayType.shape) == [1]


def test_a_changed_value_is_found() -> None:
    model = unmarked(valid.regressor())
    result = mark(model, SETTINGS)
    valid.layer(result, "fc2").innerProduct.weights.floatValue[0] += 0.1
    with pytest.raises(BuildError, match="of the largest value, expected at most 1e-05"):
        unchanged(model, result)


@pytest.mark.parametrize(
    ("model", "loss", "sentence"),
    [
        (valid.regressor(), "categorical_cross_entropy", "is a regressor, expected a classifier"),
        (valid.classifier(), "mean_squared_error", "loss: is mean_squared_error for a classifier"),
        (valid.plain(), "hinge", "loss: found 'hinge', expected 'categorical_cross_entropy' or 'mean_squared_error'"),
        (converted("two layers"), "mean_squared_error", "is a softmaxND, .*squared error"),
    ],
)
def test_losses_that_do_not_fit_are_refused(model: Model, loss: Loss, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        mark(model, SETTINGS, loss=loss)


def test_values_have_no_reserved_labels_and_begin_anew_when_asked_to() -> None:
    with pytest.raises(ModelError, match="reserved: found 2 for a model without labels, expected 0"):
        mark(unmarked(valid.regressor()), SETTINGS, reserved=2)
    result = mark(unmarked(valid.regressor()), SETTINGS, head="new")
    assert check(result) == []
    assert valid.layer(result, "fc2").innerProduct.weights != valid.layer(valid.regressor(), "fc2").innerProduct.weights
    assert valid.layer(result, "fc1").innerProduct.weights == valid.layer(valid.regressor(), "fc1").innerProduct.weights


def test_an_answer_without_a_fixed_shape() -> None:
    model = convert(nn.Conv2d(3, 2, 3), (1, 3, 6, 6))
    array = model.description.input[0].type.multiArrayType
    for _ in range(4):
        array.shapeRange.sizeRanges.add(lowerBound=1, upperBound=9)
    del model.description.output[0].type.multiArrayType.shape[:]
    with pytest.raises(ModelError, match="has no fixed shape"):
        mark(model, SETTINGS, loss="mean_squared_error")


def loss_kind(model: Model) -> str:
    return str(network_of(model).updateParams.lossLayers[0].WhichOneof("LossLayerType"))
