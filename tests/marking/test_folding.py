"""Factors and offsets in layers of their own go into the layer before them, and the answers stay."""

import numpy as np
import pytest
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

from coreml_updatable.checking import check
from coreml_updatable.converting.equivalence import ALLOWED_DIFFERENCE, unchanged
from coreml_updatable.marking import marked, repair_tail
from coreml_updatable.runtime import load
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of
from tests.marking import layered
from tests.marking.layered import Fill, with_constant
from tests.marking.test_mark import SETTINGS

ALONE: dict[str, Fill] = {
    "bias": layered.bias,
    "bias of 16 bits": layered.bias_in_halves,
    "scale": layered.scale,
    "batchnorm": layered.batchnorm,
    "linear activation": layered.linear,
    "add a number": layered.add_number,
    "multiply by a number": layered.multiply_number,
}
BESIDE_A_CONSTANT: dict[str, Fill] = {
    "plus": with_constant("addBroadcastable"),
    "constant plus": with_constant("addBroadcastable", first=True),
    "minus": with_constant("subtractBroadcastable"),
    "constant minus": with_constant("subtractBroadcastable", first=True),
    "times": with_constant("multiplyBroadcastable"),
    "by": with_constant("divideBroadcastable"),
}


def kinds(model: Model) -> list[str]:
    return [layer_kind(layer) for layer in network_of(model).layers]


@pytest.mark.parametrize("name", ALONE)
def test_a_layer_of_one_number_a_channel_is_folded(name: str) -> None:
    before = layered.classifier(ALONE[name], layered.relu)
    after, notes = repair_tail(before)
    assert kinds(after) == ["innerProduct", "activation", "innerProduct", "softmax"]
    assert [note for note in notes if "folded into layers[0] 'first'" in note] == notes
    assert unchanged(before, after) <= ALLOWED_DIFFERENCE
    assert repair_tail(after)[1] == []


@pytest.mark.parametrize("name", BESIDE_A_CONSTANT)
@pytest.mark.parametrize(
    ("shape", "constant"), [((1, 5, 1, 1), (6, 1, 1)), ((1, 5), (6,)), ((1, 5), (1, 6)), ((5,), (6, 1, 1))]
)
def test_so_is_an_operation_with_a_constant(name: str, shape: tuple[int, ...], constant: tuple[int, ...]) -> None:
    before = layered.classifier(BESIDE_A_CONSTANT[name], layered.relu, shape=shape, constant=constant)
    result = marked(before, SETTINGS, last=2)
    assert not {"loadConstantND", layer_kind(network_of(before).layers[2])} & set(kinds(result.model))
    assert "folded" in result.repairs[0]
    assert unchanged(before, result.model) <= ALLOWED_DIFFERENCE
    assert check(result.model) == []


def test_several_in_a_row() -> None:
    fills = (layered.scale, layered.bias, layered.linear, layered.batchnorm, layered.relu)
    before = layered.classifier(*fills)
    after, notes = repair_tail(before)
    assert kinds(after) == ["innerProduct", "activation", "innerProduct", "softmax"]
    assert len(notes) == 4
    assert unchanged(before, after) <= ALLOWED_DIFFERENCE


def test_a_file_of_the_first_version() -> None:
    """As Caffe and the MNIST examples of 2017 write it: version 1, convolution, innerProduct, bias, softmax."""
    before = _of_2017()
    assert before.specificationVersion == 1
    result = marked(before, SETTINGS)
    assert kinds(result.model) == ["convolution", "activation", "pooling", "flatten", "innerProduct", "softmax"]
    (repair,) = result.repairs
    assert repair.startswith("layers[5] 'shift': bias was folded into layers[4] 'fc'")
    assert result.model.specificationVersion == 4
    assert unchanged(before, result.model) <= ALLOWED_DIFFERENCE
    assert check(result.model) == []
    assert model_bytes(marked(result.model, SETTINGS).model) == model_bytes(result.model)


def test_what_others_read_is_left() -> None:
    before = layered.classifier(layered.bias, layered.relu)
    before.description.output.add(name="blob0").type.multiArrayType.shape.extend([1, 6, 1, 1])
    assert repair_tail(before)[1] == []


def test_a_layer_with_two_readers_takes_nothing_up() -> None:
    """The layer before the bias is read by a second one, which would see what was folded in."""
    before = layered.classifier(layered.bias, layered.relu)
    second = network_of(before).layers.add(name="second", input=["blob0"], output=["side"])
    second.activation.ReLU.SetInParent()
    side = before.description.output.add(name="side").type.multiArrayType
    side.shape.extend([1, 6, 1, 1])
    side.dataType = before.description.input[0].type.multiArrayType.dataType
    after, _ = repair_tail(before)
    assert "bias" in kinds(after)
    rows = [{"x": np.full((1, 5, 1, 1), value, np.float32)} for value in (-1, 0.5, 2)]
    for old, new in zip(load(before).predict(rows), load(after).predict(rows), strict=True):
        np.testing.assert_allclose(new["side"], old["side"], atol=1e-6)
    del network_of(before).layers[-1]
    before.description.output.pop()
    assert "bias" not in kinds(repair_tail(before)[0])


def test_a_bias_for_each_pixel_is_left() -> None:
    def pixels(layer: NeuralNetworkLayer) -> None:
        layer.bias.shape.extend([1, 1, 6])
        layer.bias.bias.floatValue.extend(layered.NUMBERS)

    def spread(layer: NeuralNetworkLayer) -> None:
        layer.reshapeStatic.targetShape.extend([1, 1, 1, 6])

    before = layered.classifier(spread, pixels)
    assert "bias" in kinds(repair_tail(before)[0])


def test_weights_that_a_division_would_make_infinite_are_left() -> None:
    before = layered.classifier(with_constant("divideBroadcastable"), constant=(1,))
    before.neuralNetworkClassifier.layers[0].loadConstantND.data.floatValue[0] = 0
    assert "divideBroadcastable" in kinds(repair_tail(before)[0])


def _of_2017() -> Model:
    random = np.random.default_rng(0)
    builder = NeuralNetworkBuilder(
        [("image", datatypes.Array(1, 8, 8))],
        [("probabilities", datatypes.Array(3))],
        mode="classifier",
        disable_rank5_shape_mapping=False,
    )
    kernel = random.normal(size=(3, 3, 1, 4))
    builder.add_convolution(
        "conv", 1, 4, 3, 3, 1, 1, "valid", 1, kernel, None, False, input_name="image", output_name="conv"
    )
    builder.add_activation("relu", "RELU", "conv", "relu")
    builder.add_pooling("pool", 2, 2, 2, 2, "MAX", "VALID", "relu", "pool")
    builder.add_flatten("flatten", 0, "pool", "flat")
    builder.add_inner_product("fc", random.normal(size=(3, 36)), None, 36, 3, False, "flat", "fc")
    builder.add_bias("shift", random.normal(size=3), "fc", "shifted", [3])
    builder.add_softmax("softmax", "shifted", "probabilities")
    builder.set_class_labels(list(layered.LABELS), "label")
    builder.spec.specificationVersion = 1
    return builder.spec
