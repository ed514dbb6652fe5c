"""A logistic classifier of pixels or of an array as a network that is given the picture or the array itself."""

import numpy as np

from coreml_updatable.conversion import ImageInput, Input
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2, NeuralNetwork_pb2
from coreml_updatable.spec.network import pipeline_of
from coreml_updatable.spec.weights import packed

from .core_ml_layers import SPECIFICATION_VERSION, float_array


def network_of(exported: Model, given: Input) -> Model:
    """softmax([0; W] x + [0; b]) of the exported ``glmClassifier``.

    x are the pixels in 0..1, channel by channel, or the numbers of the array in its own order. Turi Create leaves out
    the first class, whose score is 0. The output is ``probabilities`` [1, classes, 1, 1].
    """
    linear = pipeline_of(exported).models[-1].glmClassifier
    weights = np.array([list(row.value) for row in linear.weights])
    offsets = np.array(list(linear.offset))
    classes, size = len(weights) + 1, weights.shape[1]
    made = _pixels(given) if isinstance(given, ImageInput) else _numbers(given.name, given.shape, size)
    network = made.neuralNetwork
    head = network.layers.add(name="fc", input=["flat"], output=["scores"]).innerProduct
    head.inputChannels, head.outputChannels, head.hasBias = size, classes, True
    head.weights.MergeFromString(packed(np.vstack([np.zeros(size), weights])))
    head.bias.MergeFromString(packed(np.concatenate([[0.0], offsets])))
    network.layers.add(name="probabilities", input=["scores"], output=["probabilities"]).softmax.SetInParent()
    float_array(made.description.output, "probabilities", 1, classes, 1, 1)
    return made


def _pixels(image: ImageInput) -> Model:
    made = Model_pb2.Model(specificationVersion=SPECIFICATION_VERSION)
    picture = made.description.input.add(name=image.name).type.imageType
    picture.width, picture.height = image.width, image.height
    spaces = FeatureTypes_pb2.ImageFeatureType.ColorSpace
    picture.colorSpace = spaces.Value("RGB" if image.color == "rgb" else "GRAYSCALE")
    network = made.neuralNetwork
    network.preprocessing.add(featureName=image.name).scaler.channelScale = 1 / 255
    flat = network.layers.add(name="flat", input=[image.name], output=["flat"])
    flat.flatten.mode = flat.flatten.CHANNEL_FIRST
    return made


def _numbers(name: str, shape: tuple[int, ...], size: int) -> Model:
    made = Model_pb2.Model(specificationVersion=SPECIFICATION_VERSION)
    float_array(made.description.input, name, *shape)
    network = made.neuralNetwork
    network.arrayInputShapeMapping = NeuralNetwork_pb2.EXACT_ARRAY_MAPPING
    flat = network.layers.add(name="flat", input=[name], output=["flat"])
    flat.reshapeStatic.targetShape.extend([1, size, 1, 1])
    return made
