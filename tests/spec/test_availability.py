"""Which version a layer needs, against what coremltools' builder writes for it."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

from coreml_updatable.spec.availability import AVAILABILITY, MACOS, availability, layer_version, newer_contents
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model_pb2, NeuralNetwork_pb2
from tests.broken_models import valid

BUILT: dict[str, Callable[[Any], Any]] = {
    "clampedReLU": lambda b: b.add_clamped_relu("l", "x", "y"),
    "argSort": lambda b: b.add_argsort("l", "x", "y"),
    "cumSum": lambda b: b.add_cumsum("l", ["x"], "y"),
    "oneHot": lambda b: b.add_one_hot("l", ["x"], "y", 3),
    "globalPooling3d": lambda b: b.add_global_pooling3d("l", "x", "y", "MAX"),
    "gelu": lambda b: b.add_gelu("l", "x", "y"),
    "softmaxND": lambda b: b.add_softmax_nd("l", "x", "y", axis=-1),
    "squeeze": lambda b: b.add_squeeze("l", "x", "y", axes=[0]),
    "copy": lambda b: b.add_copy("l", "x", "y"),
}


@pytest.mark.parametrize("kind", BUILT)
def test_layers_newer_than_version_3_as_coremltools_has_them(kind: str) -> None:
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(1, 4))], [("y", datatypes.Array(1, 4))], disable_rank5_shape_mapping=True
    )
    BUILT[kind](builder)
    (layer,) = builder.spec.neuralNetwork.layers
    assert layer.WhichOneof("layer") == kind
    assert layer_version(layer) == builder.spec.specificationVersion


@pytest.mark.parametrize("name", ["innerProduct", "convolution", "softmax", "batchnorm", "uniDirectionalLSTM"])
def test_layers_of_the_first_version(name: str) -> None:
    layer = NeuralNetwork_pb2.NeuralNetworkLayer()
    getattr(layer, name).SetInParent()
    assert layer_version(layer) == 1


def test_16_bit_weights_and_custom_layers_came_with_version_2() -> None:
    layer = NeuralNetwork_pb2.NeuralNetworkLayer()
    layer.innerProduct.weights.float16Value = b"\0\0"
    assert layer_version(layer) == 2
    layer.custom.className = "Mine"
    assert layer_version(layer) == 2


def test_every_version_has_its_systems() -> None:
    assert list(AVAILABILITY) == list(MACOS) == list(range(1, 11))
    model = valid.classifier()
    assert availability(model) == "iOS 13, macOS 10.15 or later"
    model.specificationVersion = 99
    assert availability(model) == "not known"
    model.specificationVersion = 3
    assert availability(model) == "iOS 12, macOS 10.14 or later"
    model.neuralNetworkClassifier.layers.add(name="o").oneHot.SetInParent()
    assert availability(model) == "iOS 14, macOS 11 or later"


def test_what_is_newer_than_the_file_states() -> None:
    model = valid.classifier()
    assert list(newer_contents(model)) == []
    model.specificationVersion = 3
    model.neuralNetworkClassifier.layers.add(name="g").gelu.SetInParent()
    model.description.input[0].type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT16
    image = model.description.output.add(name="picture").type.imageType
    image.colorSpace = FeatureTypes_pb2.ImageFeatureType.GRAYSCALE_FLOAT16
    assert list(newer_contents(model)) == [
        ("the element type of 'image'", 7),
        ("the 16-bit grayscale of 'picture'", 7),
        ("layer 'g' (gelu)", 4),
    ]
    program = Model_pb2.Model(specificationVersion=5)
    program.mlProgram.version = 1
    assert list(newer_contents(program)) == [("an ML program", 6)]
