"""Threads of people whose model could not be made updatable, or crashed once it was."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
from torch import Tensor, nn

import coreml_updatable as cu
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model_pb2
from tests.field.networks import (
    LABELS,
    converted,
    dense_network,
    learns,
    probabilities,
    quantized,
    rules,
    seeded,
    tf2_answers,
    tf2_classifier,
    updatable,
)

TURI_CREATE = Path(__file__).parents[1] / "cli" / "turi_create"


def vectors(count: int = 6, size: int = 4) -> Any:
    return np.random.default_rng(1).normal(size=(count, size)).astype(np.float32)


def rows(values: Any, name: str = "x") -> list[dict[str, Any]]:
    return [{name: value} for value in values]


class Pictures(nn.Module):
    """The extractor of a MobileNet in small, its classifier, and what ends it."""

    def __init__(self, end: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU6(), nn.AdaptiveAvgPool2d(1))
        self.classifier, self.end = nn.Sequential(nn.Dropout(0.2), nn.Linear(8, 3)), end

    def forward(self, pictures: Tensor) -> Tensor:
        return self.end(self.classifier(self.body(pictures).flatten(1)))


def rearranged(logits: Tensor) -> Tensor:
    """The attempt of #1705: 'c f -> c f () ()', softmax along -3, and back."""
    return logits.reshape(-1, 3, 1, 1).softmax(-3).reshape(-1, 3)


@pytest.mark.field_case(
    "apple/coremltools#1417", "the softmaxND that torch models end in, refused by the loss", "works"
)
@pytest.mark.field_case("apple/coremltools#1705", "a torchvision classifier with Softmax(dim=1) behind it", "works")
def test_a_torch_classifier_whose_softmax_the_loss_refuses() -> None:
    network = seeded(Pictures(lambda logits: logits.softmax(1)))
    model = converted(network, 1, 3, 16, 16)
    builder = NeuralNetworkBuilder(spec=Model_pb2.Model.FromString(model.SerializeToString()))
    with pytest.raises(ValueError, match="must be a softmax layer output"):
        builder.set_categorical_cross_entropy_loss("lossLayer", builder.spec.description.output[0].name)
    agrees_and_learns(network, model)


@pytest.mark.field_case(
    "apple/coremltools#1705", "softmax along -3 between two reshapes, which stop the gradient", "works"
)
def test_a_softmax_between_two_reshapes() -> None:
    network = seeded(Pictures(rearranged))
    model = converted(network, 1, 3, 16, 16)
    assert "softmax" in {layer.WhichOneof("layer") for layer in model.neuralNetworkClassifier.layers}
    agrees_and_learns(network, model)


def agrees_and_learns(network: nn.Module, model: Any) -> None:
    pictures = np.random.default_rng(0).normal(size=(6, 1, 3, 16, 16)).astype(np.float32)
    marked = cu.mark(model)
    assert rules(marked) == set()
    with torch.no_grad():
        expected = torch.cat([network(torch.from_numpy(picture)) for picture in pictures]).numpy()
    np.testing.assert_allclose(probabilities(marked, rows(pictures)), expected, atol=1e-5)
    learns(marked, rows(pictures), "classLabel", LABELS)


@pytest.mark.field_case("apple/coremltools#643", "a softmax at rank 2 for the loss's sake", "works")
def test_a_softmax_at_rank_2() -> None:
    """Refused as the thread writes it, with advice; what the advice gives is repaired by mark."""
    random = np.random.default_rng(0)
    weights, bias = random.normal(size=(3, 4)).astype(np.float32), random.normal(size=3).astype(np.float32)

    def build(add: str) -> Any:
        builder = NeuralNetworkBuilder(
            [("x", datatypes.Array(1, 4))],
            [("output", datatypes.Array(1, 3))],
            mode="classifier",
            disable_rank5_shape_mapping=True,
        )
        builder.add_inner_product("fc", weights, bias, 4, 3, True, "x", "z")
        options = {"axis": -1} if add == "add_softmax_nd" else {}
        getattr(builder, add)("softmax", input_name="z", output_name="output", **options)
        builder.set_class_labels(LABELS, "label", "output")
        return builder.spec

    (problem,) = [problem for problem in cu.check(build("add_softmax")) if "softmax" in str(problem)]
    assert "2" in problem.found
    assert "3" in problem.expected
    marked = cu.mark(build("add_softmax_nd"))
    assert rules(marked) == set()
    values = vectors()
    expected = torch.from_numpy(values @ weights.T + bias).softmax(1).numpy()
    given = rows(values[:, None])
    np.testing.assert_allclose(probabilities(marked, given), expected, atol=1e-6)
    learns(marked, given, "label", LABELS)


@pytest.mark.field_case(
    "apple/coremltools#534", "tf.keras Dense layers that arrive as batchedMatmul, both to train", "works"
)
@pytest.mark.field_case("apple/coremltools#1749", "the tutorial's network: softmaxND behind batchedMatmul", "works")
@pytest.mark.field_case("FedCampus/FedKit#16", "no Dense layer of a TensorFlow model can be marked", "works")
def test_dense_layers_that_arrive_as_products_of_matrices() -> None:
    model = tf2_classifier()
    builder = NeuralNetworkBuilder(spec=Model_pb2.Model.FromString(model.SerializeToString()))
    with pytest.raises(ValueError, match="not supported to be marked as updatable"):
        builder.make_updatable(["sequential/dense_1/MatMul"])
    marked = cu.mark(model, last=2)
    assert rules(marked) == set()
    trained = [layer for layer in marked.message.neuralNetworkClassifier.layers if layer.isUpdatable]
    assert [layer.WhichOneof("layer") for layer in trained] == ["innerProduct", "innerProduct"]
    pictures = np.random.default_rng(2).normal(size=(6, 1, 8, 8, 1)).astype(np.float32)
    given = rows(pictures, "image")
    np.testing.assert_allclose(probabilities(marked, given), tf2_answers(model, pictures[:, 0]), atol=1e-5)
    learns(marked, given, "classLabel", LABELS, learningRate=0.01)


@pytest.mark.field_case(
    "apple/coremltools#523", "the Iris model of onnx-coreml: two batchedMatmul and no softmax", "works"
)
def test_the_iris_model_of_onnx_coreml() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(4, 3)).astype(np.float32), random.normal(size=(3, 3)).astype(np.float32)
    biases = random.normal(size=(2, 3)).astype(np.float32)
    builder = NeuralNetworkBuilder(
        [("input.1", datatypes.Array(1, 4))], [("7", datatypes.Array(1, 3))], disable_rank5_shape_mapping=True
    )
    for name, source, weights, bias in (("5", "input.1", first, biases[0]), ("7", "6", second, biases[1])):
        builder.add_batched_mat_mul(
            name,
            [source],
            name,
            weight_matrix_rows=weights.shape[0],
            weight_matrix_columns=weights.shape[1],
            W=weights,
            bias=bias,
        )
        if name == "5":
            builder.add_activation("6", "RELU", "5", "6")
    marked = cu.mark(builder.spec, labels=["setosa", "versicolor", "virginica"], last=2)
    assert rules(marked) == set()
    values = vectors()
    expected = torch.from_numpy(np.maximum(values @ first + biases[0], 0) @ second + biases[1]).softmax(1)
    np.testing.assert_allclose(probabilities(marked, rows(values[:, None], "input.1")), expected, atol=1e-6)
    learns(marked, rows(values[:, None], "input.1"), "label", marked.labels)


@pytest.mark.field_case(
    "FedCampus/FedKit#21", "a transpose between the last Conv2D of TensorFlow and the softmax", "works"
)
def test_a_transpose_between_the_last_convolution_and_the_softmax() -> None:
    random = np.random.default_rng(0)
    kernel, bias = random.normal(size=(1, 1, 4, 3)).astype(np.float32), random.normal(size=3).astype(np.float32)
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(1, 1, 1, 4))],
        [("Identity", datatypes.Array(1, 1, 1, 3))],
        mode="classifier",
        disable_rank5_shape_mapping=True,
    )
    builder.add_transpose("transpose_0", (0, 3, 1, 2), "x", "nchw")
    builder.add_convolution("conv", 4, 3, 1, 1, 1, 1, "valid", 1, kernel, bias, True, False, None, "nchw", "c")
    builder.add_transpose("transpose_6", (0, 2, 3, 1), "c", "nhwc")
    builder.add_softmax_nd("softmax", "nhwc", "Identity", -1)
    builder.set_class_labels(LABELS, "label", "Identity")
    marked = cu.mark(builder.spec)
    assert rules(marked) == set()
    values = vectors()
    expected = torch.from_numpy(values @ kernel[0, 0] + bias).softmax(1).numpy()
    given = rows(values[:, None, None, None])
    np.testing.assert_allclose(probabilities(marked, given), expected, atol=1e-6)
    learns(marked, given, "label", LABELS)


@pytest.mark.field_case(
    "apple/coremltools#2383", "tables of 8 features: layers marked and a loss set, yet not updatable", "works"
)
def test_layers_are_marked_and_the_model_is_not() -> None:
    """The flag of the model, or of its layers, is missing: one is told of, the other refused; mark sets them all."""
    spec = updatable(dense_network((16, "RELU"), (3, None), inputs=8), "dense_1")
    spec.isUpdatable = False
    with pytest.raises(cu.ModelError, match="not updatable; mark it"):
        cu.UpdateTask(spec, [])
    flags = updatable(dense_network((16, "RELU"), (3, None), inputs=8), "dense_1")
    for layer in flags.neuralNetworkClassifier.layers:
        layer.isUpdatable = False
    assert "N3.1" in rules(flags, "error")
    for broken in (spec, flags):
        marked = cu.mark(broken)
        assert rules(marked) == set()
        learns(marked, rows(vectors(size=8)), "label", LABELS)


@pytest.mark.field_case(
    "apple/turicreate#2258", "an activity classifier of specification version 1, made updatable", "works"
)
@pytest.mark.field_case("apple/turicreate#2048", "an updatable activity classifier that Xcode refuses", "warned")
@pytest.mark.field_case("apple/turicreate#2860", "Turi Create exports version 1: raised to 4 and no further", "works")
def test_the_version_that_turi_create_writes() -> None:
    model = Model_pb2.Model.FromString(gzip.decompress((TURI_CREATE / "activity.mlmodel.gz").read_bytes()))
    assert model.specificationVersion == 1
    updatable_now = Model_pb2.Model.FromString(model.SerializeToString())
    updatable_now.isUpdatable = True
    assert "M1.2" in rules(updatable_now, "error")
    for layer in model.neuralNetworkClassifier.layers:  # the file holds sizes, and no numbers
        fill(layer)
    marked = cu.mark(model, layers=["dense1"])
    assert marked.message.specificationVersion == 4
    assert rules(marked, "error") == set()
    assert "L2048" in rules(marked, "warning")


def fill(message: Any) -> None:
    """Give every weight of a message its numbers, as many as its sizes say."""
    from tests.cli.test_mark_turi_create import fill as fill_model

    holder = Model_pb2.Model()
    holder.neuralNetworkClassifier.layers.add().CopyFrom(message)
    fill_model(holder)
    message.CopyFrom(holder.neuralNetworkClassifier.layers[0])


@pytest.mark.field_case(
    "apple/coremltools#492", "two dense layers with a batchnorm between them, both to train", "warned"
)
def test_a_batchnorm_between_the_layers_to_train() -> None:
    """What a device cannot differentiate is folded away by mark, with the same answers."""
    builder = dense_network((6, "RELU"), (3, None), batchnorm=True)
    spec = updatable(builder, "dense_0", "dense_1")
    assert rules(spec) == {"L11.10"}
    given = rows(vectors())
    before = probabilities(spec, given)
    marked = cu.mark(spec, last=2)
    assert rules(marked) == set()
    np.testing.assert_allclose(probabilities(marked, given), before, atol=1e-5)


@pytest.mark.field_case(
    "apple/coremltools#490", "two convolutions in a row to train: a BNNS error on older phones", "warned"
)
def test_convolutions_in_a_row() -> None:
    random = np.random.default_rng(0)
    builder = NeuralNetworkBuilder([("x", datatypes.Array(1, 8, 8))], [("y", datatypes.Array(3))], mode="classifier")
    blob, channels = "x", 1
    for index, kernels in enumerate((4, 3)):
        kernel = random.normal(0, 0.3, (3, 3, channels, kernels)).astype(np.float32)
        builder.add_convolution(
            f"conv{index}", channels, kernels, 3, 3, 1, 1, "valid", 1, kernel, np.zeros(kernels), True, False, None,
            blob, f"c{index}",
        )  # fmt: skip
        builder.add_activation(f"relu{index}", "RELU", f"c{index}", f"r{index}")
        blob, channels = f"r{index}", kernels
    builder.add_pooling("pool", 4, 4, 4, 4, "AVERAGE", "VALID", blob, "p", is_global=True)
    builder.add_softmax("softmax", "p", "y")
    builder.set_class_labels(LABELS, "label", "y")
    spec = updatable(builder, "conv0", "conv1")
    assert rules(spec) == {"L490"}
    assert rules(cu.mark(spec, layers=["conv1"])) == set()  # the advice


@pytest.mark.field_case(
    "apple/coremltools#1983", "a squared error on a linear last layer: the compiler refuses it", "warned"
)
def test_a_squared_error_on_a_linear_layer() -> None:
    linear = updatable(dense_network((8, None), (2, None), inputs=2, labels=()), "dense_0", "dense_1")
    assert rules(linear) == {"L1983"}
    bent = updatable(dense_network((8, None), (2, "SIGMOID"), inputs=2, labels=()), "dense_0", "dense_1")
    assert rules(bent) == set()  # as the thread found


@pytest.mark.field_case(
    "apple/coremltools#696", "a squared error whose input names a layer and not its blob", "refused"
)
def test_a_loss_that_names_a_layer() -> None:
    spec = updatable(dense_network((3, "TANH"), (2, "TANH"), (1, "SIGMOID"), inputs=3, labels=()), "dense_2")
    spec.neuralNetwork.updateParams.lossLayers[0].meanSquaredErrorLossLayer.input = "dense_1"
    (problem,) = cu.check(spec)
    assert (problem.rule, problem.severity) == ("N5.7", "error")
    assert "dense_1" in str(problem)
    assert rules(cu.mark(spec, loss="mean_squared_error")) == set()


@pytest.mark.field_case("apple/coremltools#1565", "eight binary outputs with a loss each", "refused")
def test_a_loss_for_each_of_several_outputs() -> None:
    builder = dense_network((8, "SIGMOID"), labels=())
    spec = updatable(builder, "dense_0")
    losses = spec.neuralNetwork.updateParams.lossLayers
    for index in range(1, 8):
        losses.add().CopyFrom(losses[0])
        losses[index].name = f"loss{index}"
    (problem,) = [problem for problem in cu.check(spec) if problem.rule == "N5.1"]
    assert problem.severity == "error"
    assert "8" in problem.found
    del losses[1:]  # the advice; one squared error over all eight is what Core ML can do
    assert rules(spec) == set()
    result = [{"x": value, "y_true": np.arange(8) % 2} for value in vectors()]
    after = cu.UpdateTask(spec, result, parameters={"epochs": 50}).resume().model
    assert np.abs(after.predict(result[0])["y"] - result[0]["y_true"]).mean() < 0.5


@pytest.mark.field_case("apple/coremltools#604", "epochs whose default is not in the set, then a crash", "refused")
def test_epochs_outside_their_set() -> None:
    builder = dense_network((6, "RELU"), (3, None))
    spec = updatable(builder, "dense_1")
    epochs = spec.neuralNetworkClassifier.updateParams.epochs
    epochs.defaultValue = 8
    epochs.ClearField("range")
    epochs.set.values[:] = [1, 2, 4, 10, 16]
    (problem,) = [problem for problem in cu.check(spec) if problem.severity == "error"]
    assert problem.rule == "N7.10"
    epochs.set.values.append(8)  # the advice
    assert rules(spec, "error") == set()
    with pytest.raises(cu.ModelError, match="epochs"):
        cu.mark(spec, epochs=cu.Int64Parameter(8, allowed=(1, 2, 4, 10, 16)))


@pytest.mark.field_case(
    "apple/coremltools#604", "a model of 16-bit or quantized weights, which fails to compile", "works"
)
@pytest.mark.field_case(
    "apple/coremltools#2858", "16-bit weights in a later layer, which the builder overlooks", "warned"
)
@pytest.mark.parametrize("bits", [16, 8])
def test_weights_of_fewer_bits(bits: int) -> None:
    spec = dense_network((6, "RELU"), (3, None)).spec
    given = rows(vectors())
    before = probabilities(spec, given)
    small = quantized(spec, bits)
    marked = cu.mark(small, last=2)
    assert rules(marked) == set()
    np.testing.assert_allclose(probabilities(marked, given), before, atol=1e-2)
    learns(marked, given, "label", LABELS)
    mixed = updatable(dense_network((6, "RELU"), (3, None)), "dense_1")
    mixed.neuralNetworkClassifier.layers[2].CopyFrom(small.neuralNetworkClassifier.layers[2])
    mixed.neuralNetworkClassifier.layers[2].isUpdatable = True
    product = mixed.neuralNetworkClassifier.layers[2].innerProduct
    product.weights.isUpdatable = product.bias.isUpdatable = True
    assert rules(mixed) & {"L3.7", "N3.5"}
    assert rules(cu.mark(mixed)) == set()  # the advice


@pytest.mark.field_case("apple/coremltools#557", "a picture as the target of a squared error", "warned")
def test_a_picture_as_target() -> None:
    spec = updatable(dense_network((4, "SIGMOID"), labels=()), "dense_0")
    target = spec.description.trainingInput[1]
    name = target.name
    target.Clear()
    target.name = name
    target.type.imageType.width = target.type.imageType.height = 2
    target.type.imageType.colorSpace = FeatureTypes_pb2.ImageFeatureType.GRAYSCALE
    assert rules(spec) == {"L557"}
    target.type.multiArrayType.shape.append(4)  # the advice
    target.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    assert rules(spec) == set()
    result = [{"x": value, "y_true": np.full(4, 0.9)} for value in vectors()]
    after = cu.UpdateTask(spec, result, parameters={"epochs": 50}).resume().model
    assert (
        np.abs(after.predict(result[0])["y"] - 0.9).mean() < np.abs(cu.load(spec).predict(result[0])["y"] - 0.9).mean()
    )
