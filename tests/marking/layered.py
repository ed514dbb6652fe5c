"""Networks written layer by layer: x -> first [6] -> the layers under test -> last [3] -> softmax, labels a, b, c."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from coreml_updatable.marking.building_blocks import new_layer, softmax
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2, NeuralNetwork_pb2, NeuralNetworkLayer

LABELS = ("a", "b", "c")
WIDTH = 6
Fill: TypeAlias = Callable[[NeuralNetworkLayer], None]
NUMBERS = np.array([0.5, -1.5, 2.0, 0.25, -0.75, 1.0], np.float32)  # one a channel


def classifier(*fills: Fill, shape: Sequence[int] = (1, 5, 1, 1), constant: Sequence[int] | None = None) -> Model:
    """``fills`` write the layers between the first and the last innerProduct; ``constant``: the shape of a blob "c"."""
    model = Model_pb2.Model(specificationVersion=4)
    given = model.description.input.add(name="x").type.multiArrayType
    given.shape.extend(shape)
    given.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    network = model.neuralNetworkClassifier
    exact = len(shape) != 1
    network.arrayInputShapeMapping = NeuralNetwork_pb2.EXACT_ARRAY_MAPPING if exact else 0
    network.imageInputShapeMapping = NeuralNetwork_pb2.RANK4_IMAGE_MAPPING if exact else 0
    layers = []
    if constant is not None:
        loaded = NeuralNetwork_pb2.NeuralNetworkLayer(name="constant", output=["c"])
        loaded.loadConstantND.shape.extend(constant)
        loaded.loadConstantND.data.floatValue.extend(NUMBERS[: int(np.prod(constant))])
        layers.append(loaded)
    layers.append(dense("first", "x", "blob0", 5, WIDTH))
    for index, fill in enumerate(fills):
        layer = new_layer(f"layer{index + 1}", f"blob{index}", f"blob{index + 1}")
        fill(layer)
        layers.append(layer)
    layers.append(dense("last", f"blob{len(fills)}", "logits", WIDTH, 3))
    layers.append(softmax("softmax", "logits", "probabilities"))
    if len(shape) == 2:  # where the old softmax finds no axis -3
        layers[-1].softmaxND.axis = -1
    network.layers.extend(layers)
    network.labelProbabilityLayerName = "probabilities"
    network.stringClassLabels.vector.extend(LABELS)
    model.description.output.add(name="label").type.stringType.SetInParent()
    spread = model.description.output.add(name="labelProbability")
    spread.type.dictionaryType.stringKeyType.SetInParent()
    model.description.predictedFeatureName = "label"
    model.description.predictedProbabilitiesName = "labelProbability"
    return model


def dense(name: str, source: str, result: str, inputs: int, outputs: int) -> NeuralNetworkLayer:
    layer = new_layer(name, source, result)
    params = layer.innerProduct
    params.inputChannels, params.outputChannels, params.hasBias = inputs, outputs, True
    random = np.random.default_rng(inputs)
    params.weights.floatValue.extend(random.normal(size=inputs * outputs))
    params.bias.floatValue.extend(random.normal(size=outputs))
    return layer


def bias(layer: NeuralNetworkLayer) -> None:
    layer.bias.shape.append(WIDTH)
    layer.bias.bias.floatValue.extend(NUMBERS)


def bias_in_halves(layer: NeuralNetworkLayer) -> None:
    layer.bias.shape.extend([WIDTH, 1, 1])
    layer.bias.bias.float16Value = NUMBERS.astype("<f2").tobytes()


def scale(layer: NeuralNetworkLayer) -> None:
    layer.scale.shapeScale.append(WIDTH)
    layer.scale.scale.floatValue.extend(NUMBERS)
    layer.scale.hasBias = True
    layer.scale.shapeBias.append(1)
    layer.scale.bias.floatValue.append(0.3)


def batchnorm(layer: NeuralNetworkLayer) -> None:
    params = layer.batchnorm
    params.channels, params.epsilon = WIDTH, 1e-3
    for weights, values in (
        (params.gamma, NUMBERS),
        (params.beta, NUMBERS[::-1]),
        (params.mean, NUMBERS / 2),
        (params.variance, NUMBERS**2),
    ):
        weights.floatValue.extend(values)


def linear(layer: NeuralNetworkLayer) -> None:
    layer.activation.linear.alpha, layer.activation.linear.beta = -0.5, 0.75


def add_number(layer: NeuralNetworkLayer) -> None:
    layer.add.alpha = 0.7


def multiply_number(layer: NeuralNetworkLayer) -> None:
    layer.multiply.alpha = -1.3


def with_constant(kind: str, *, first: bool = False) -> Fill:
    """An operation of two inputs, of which the constant blob "c" is the second, or the first."""

    def fill(layer: NeuralNetworkLayer) -> None:
        getattr(layer, kind).SetInParent()
        layer.input.insert(0 if first else 1, "c")

    return fill


def relu(layer: NeuralNetworkLayer) -> None:
    layer.activation.ReLU.SetInParent()
