"""Threads about the update itself: what it refuses, what it saves, and what its loss says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

import coreml_updatable as cu
from tests.field.networks import LABELS, dense_network, learns, probabilities, rules, updatable


def rows(count: int = 9, size: int = 4) -> list[dict[str, Any]]:
    values = np.random.default_rng(1).normal(size=(count, size)).astype(np.float32)
    return [{"x": value, "label": LABELS[index % 3]} for index, value in enumerate(values)]


def bare(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"x": row["x"]} for row in told]


def model(**options: Any) -> Any:
    return updatable(dense_network((6, "RELU"), (3, None)), "dense_0", "dense_1", **options)


@pytest.mark.field_case("apple/coremltools#517", "epochs set to 2 where the model allows 1 and 10 only", "refused")
def test_epochs_that_the_model_does_not_allow() -> None:
    spec = model()
    epochs = spec.neuralNetworkClassifier.updateParams.epochs
    epochs.set.values[:] = [1, 10]
    epochs.defaultValue = 1
    with pytest.raises(cu.ModelError, match=r"epochs is 2, expected one of 1, 10"):
        cu.UpdateTask(spec, rows(), {"epochs": 2})
    marked = cu.mark(spec, epochs=cu.Int64Parameter(1, (1, 10)))  # a range, in which 2 is
    assert cu.UpdateTask(marked, rows(), {"epochs": 2}).resume().parameters["epochs"] == 2


@pytest.mark.field_case(
    "apple/coremltools#531", "weights of a server, given in the configuration: not applied", "refused"
)
@pytest.mark.field_case(
    "apple/coremltools#1792", "weights set in memory before an update: only the file counts", "refused"
)
@pytest.mark.field_case("flwrlabs/flower#2284", "federated learning that never sets the server's weights", "refused")
@pytest.mark.parametrize("key", ["weights", "biases"])
def test_weights_in_the_configuration(key: str) -> None:
    """Refused by name; written into the model's file, as the threads end, they count."""
    spec = model()
    with pytest.raises(cu.ModelError, match=f"does not apply {key} given as parameters"):
        cu.UpdateTask(spec, rows(), {key: 3})
    averaged = model()
    for layer in averaged.neuralNetworkClassifier.layers:
        if layer.WhichOneof("layer") == "innerProduct":
            layer.innerProduct.weights.floatValue[:] = [2 * value for value in layer.innerProduct.weights.floatValue]
    first, second = (cu.UpdateTask(item, rows(), {"epochs": 1}).resume().model for item in (spec, averaged))
    assert np.abs(probabilities(first, bare(rows())) - probabilities(second, bare(rows()))).max() > 0.01


@pytest.mark.field_case("flwrlabs/flower#2228", "an evaluation that runs an update on the test data", "works")
def test_an_evaluation_changes_nothing() -> None:
    """The loss of a model is known before its first step, and predicting leaves every byte as it was."""
    loaded = cu.load(model())
    before = loaded.message.SerializeToString()
    loaded.predict(bare(rows()))
    assert loaded.message.SerializeToString() == before
    updated = cu.UpdateTask(loaded, rows(), {"epochs": 1}).resume().model
    assert loaded.message.SerializeToString() == before
    assert updated.message.SerializeToString() != before


@pytest.mark.field_case(
    "apple/coremltools#431", "an updated model, saved and loaded again, answers as before it", "works"
)
def test_an_updated_model_is_saved_and_loaded_again(tmp_path: Path) -> None:
    context = cu.UpdateTask(model(), rows(), {"epochs": 20}).resume()
    context.write(tmp_path / "updated.mlmodel")
    again = cu.load(tmp_path / "updated.mlmodel")
    assert rules(again) == set()
    np.testing.assert_array_equal(probabilities(again, bare(rows())), probabilities(context.model, bare(rows())))
    assert np.abs(probabilities(again, bare(rows())) - probabilities(model(), bare(rows()))).max() > 0.01


@pytest.mark.field_case(
    "apple/coremltools#428", "how to train an MNIST model: rows of a picture and its label", "works"
)
def test_rows_of_a_picture_and_its_label() -> None:
    random = np.random.default_rng(0)
    builder = NeuralNetworkBuilder(
        [("image", datatypes.Array(1, 8, 8))], [("digitProbabilities", datatypes.Array(10))], mode="classifier"
    )
    kernel = random.normal(0, 0.3, (3, 3, 1, 4)).astype(np.float32)
    builder.add_convolution(
        "conv", 1, 4, 3, 3, 1, 1, "valid", 1, kernel, np.zeros(4), True, False, None, "image", "c"
    )  # fmt: skip
    builder.add_activation("relu", "RELU", "c", "r")
    builder.add_flatten("flatten", 0, "r", "f")
    weights = random.normal(0, 0.1, (10, 144))
    builder.add_inner_product("dense", weights, np.zeros(10), 144, 10, True, "f", "z")
    builder.add_softmax("softmax", "z", "digitProbabilities")
    builder.set_class_labels(list(range(10)), "digit", "digitProbabilities")
    builder.set_pre_processing_parameters(image_input_names=["image"], image_scale=1 / 255, is_bgr=False)
    spec = builder.spec
    given = spec.description.input[0].type.imageType
    given.width = given.height = 8
    marked = cu.mark(spec)
    assert rules(marked) == set()
    pictures = random.integers(0, 256, (10, 8, 8), dtype=np.uint8)
    after = learns(marked, [{"image": picture} for picture in pictures], "digit", list(range(10)))
    assert isinstance(after.predict({"image": pictures[3]})["digit"], int)


@pytest.mark.field_case(
    "apple/coremltools#486", "a loss that does not fall on the device; too large a rate is told of", "warned"
)
def test_a_loss_that_does_not_fall() -> None:
    spec = updatable(dense_network((3, None), inputs=64), "dense_0", lr=3.0)
    rate = spec.neuralNetworkClassifier.updateParams.optimizer.sgdOptimizer.learningRate
    rate.range.maxValue = 10
    result = [{"x": np.random.default_rng(n).uniform(0, 1, 64), "label": LABELS[n % 3]} for n in range(12)]
    assert rules(spec) == {"L486"}
    wanted = np.arange(12), np.arange(12) % 3
    before = -np.log(probabilities(spec, bare(result))[wanted]).mean()
    context = cu.UpdateTask(spec, result, {"epochs": 1, "learningRate": 3.0}).resume()
    assert -np.log(np.maximum(probabilities(context.model, bare(result)), 1e-30)[wanted]).mean() > before
    rate.defaultValue = 0.01  # the advice
    assert rules(spec) == set()
    learns(spec, bare(result), "label", LABELS, learningRate=0.01)


@pytest.mark.field_case("apple/coremltools#2070", "lossValue of a squared error is negative on a device", "open")
def test_a_squared_error_is_never_negative() -> None:
    """No formula of ours, nor torch's, gives the thread's numbers; only a device can say what it computes."""
    spec = updatable(dense_network((5, "RELU"), (1, "SIGMOID"), labels=()), "dense_0", "dense_1", batch=8)
    values = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    wanted = np.random.default_rng(1).normal(size=(8, 1)).astype(np.float32)
    answers = np.stack([np.ravel(answer["y"]) for answer in cu.load(spec).predict([{"x": x} for x in values])])
    seen: list[float] = []

    def note(context: Any) -> None:
        seen.extend([context.metrics["lossValue"]] if "lossValue" in context.metrics else [])

    result = [{"x": x, "y_true": y} for x, y in zip(values, wanted, strict=True)]
    cu.UpdateTask(spec, result, {"epochs": 20, "miniBatchSize": 8}, on_event=note).resume()
    expected = torch.nn.functional.mse_loss(torch.from_numpy(answers), torch.from_numpy(wanted))
    assert seen[0] == pytest.approx(float(expected), rel=1e-5)
    assert min(seen) >= 0


@pytest.mark.field_case("FedCampus/FedKit#24", "a classifier trained by squared error, which did not crash", "works")
def test_a_classifier_by_squared_error() -> None:
    spec = dense_network((6, "RELU"), (3, "SIGMOID"), labels=()).spec
    marked = cu.mark(spec, loss="mean_squared_error", optimizer=cu.SGD(learning_rate=0.1))
    assert rules(marked) == set()
    result = [{"x": row["x"], "y_true": np.eye(3)[index % 3]} for index, row in enumerate(rows())]

    def error(one: Any) -> float:
        answers = np.stack([np.ravel(answer["y"]) for answer in cu.load(one).predict(bare(result))])
        return float(np.square(answers - np.eye(3)[np.arange(9) % 3]).mean())

    assert error(cu.UpdateTask(marked, result, {"epochs": 50}).resume().model) < error(marked)
