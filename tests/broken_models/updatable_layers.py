"""Updatable networks whose marks or names are broken, or whose marked layers a device does not train."""

import numpy as np
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

from coreml_updatable.marking import mark
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, UpdateSettings
from coreml_updatable.spec.messages import Model, NeuralNetwork_pb2
from coreml_updatable.spec.network import network_of
from tests.broken_models.valid import classifier, insert_layer, layer, loss, plain

MARKED = UpdateSettings(SGD(DoubleParameter(0.01), Int64Parameter(1), DoubleParameter(0.0)), Int64Parameter(1))


def nothing_marked() -> Model:
    model = classifier()
    layer(model, "fc").isUpdatable = False
    return model


def relu_marked() -> Model:
    model = classifier()
    layer(model, "relu").isUpdatable = True
    return model


def weights_not_flagged() -> Model:
    model = classifier()
    layer(model, "fc").innerProduct.weights.isUpdatable = False
    return model


def bias_not_flagged() -> Model:
    model = classifier()
    layer(model, "fc").innerProduct.bias.isUpdatable = False
    return model


def quantized() -> Model:
    model = classifier()
    weights = layer(model, "fc").innerProduct.weights
    weights.rawValue = bytes(len(weights.floatValue))
    del weights.floatValue[:]
    del layer(model, "fc").innerProduct.bias.floatValue[:]
    layer(model, "fc").innerProduct.bias.floatValue.extend([0.0] * 3)
    weights.quantization.numberOfBits = 8
    weights.quantization.linearQuantization.scale.append(0.1)
    return model


def same_names() -> Model:
    model = classifier()
    layer(model, "relu").name = "conv"
    return model


def loss_called_like_a_layer() -> Model:
    model = classifier()
    loss(model).name = "conv"
    return model


def two_unnamed() -> Model:
    model = classifier()
    layer(model, "relu").name = ""
    layer(model, "conv").name = ""
    return model


def sixteen_bit() -> Model:
    model = classifier()
    convolution = layer(model, "conv").convolution
    for weights in (convolution.weights, convolution.bias):
        weights.float16Value = np.array(weights.floatValue, "<f2").tobytes()
        del weights.floatValue[:]
    return model


def quantized_beside_the_head() -> Model:
    model = classifier()
    weights = layer(model, "conv").convolution.weights
    weights.rawValue = bytes(len(weights.floatValue))
    del weights.floatValue[:]
    weights.quantization.numberOfBits = 8
    weights.quantization.linearQuantization.scale.append(0.1)
    weights.quantization.linearQuantization.bias.append(0.0)
    return model


def side_branch_marked() -> Model:
    model = classifier()
    added = NeuralNetwork_pb2.NeuralNetworkLayer()
    added.CopyFrom(layer(model, "fc"))
    added.name, added.output[0] = "side", "side"
    insert_layer(network_of(model), 3, added)
    return model


def batchnorm_on_the_way() -> Model:
    model = classifier()
    _mark(model, "conv")
    added = NeuralNetwork_pb2.NeuralNetworkLayer(name="batchnorm", input=["relu"], output=["normed"])
    added.batchnorm.channels = 4
    for name, value in (("gamma", 1.0), ("beta", 0.0), ("mean", 0.0), ("variance", 1.0)):
        getattr(added.batchnorm, name).floatValue.extend([value] * 4)
    insert_layer(network_of(model), 2, added)
    layer(model, "flatten").input[0] = "normed"
    return model


def two_convolutions_marked() -> Model:
    model = classifier()
    _mark(model, "conv")
    added = NeuralNetwork_pb2.NeuralNetworkLayer()
    added.CopyFrom(layer(model, "conv"))
    added.name, added.input[0], added.output[0] = "conv2", "relu", "conv2"
    added.convolution.kernelChannels = 4
    added.convolution.kernelSize[:] = [1, 1]
    del added.convolution.weights.floatValue[16:]
    insert_layer(network_of(model), 2, added)
    layer(model, "flatten").input[0] = "conv2"
    return model


def _mark(model: Model, name: str) -> None:
    marked = layer(model, name)
    marked.isUpdatable = True
    marked.convolution.weights.isUpdatable = marked.convolution.bias.isUpdatable = True


def state_answered() -> Model:
    """x [5] -> LSTM [4], whose states come in and go out -> fc, updatable -> softmax."""
    random = np.random.default_rng(0)
    inputs = [("x", datatypes.Array(5)), ("h", datatypes.Array(4)), ("c", datatypes.Array(4))]
    outputs = [("probabilities", datatypes.Array(3)), ("h_out", datatypes.Array(4)), ("c_out", datatypes.Array(4))]
    builder = NeuralNetworkBuilder(inputs, outputs, mode="classifier")
    matrices = [[random.normal(size=(4, n)) for _ in range(4)] for n in (5, 4)]
    names = ["x", "h", "c"], ["y", "h_out", "c_out"]
    builder.add_unilstm("lstm", matrices[1], matrices[0], [random.normal(size=4) for _ in range(4)], 4, 5, *names)
    builder.add_inner_product("fc", random.normal(size=(3, 4)), random.normal(size=3), 4, 3, True, "y", "logits")
    builder.add_softmax("softmax", "logits", "probabilities")
    builder.set_class_labels(["a", "b", "c"], "label", prediction_blob="probabilities")
    return mark(builder.spec, MARKED)


def expanded_to_rank_5() -> Model:
    model = plain()
    model.neuralNetwork.arrayInputShapeMapping = 1
    added = model.neuralNetwork.layers.add(name="wide", input=["x"], output=["wide"])
    added.expandDims.axes.extend([1, 2, 3, 4])
    return model


BREAKERS = {
    "L2074": [expanded_to_rank_5],
    "N3.1": [nothing_marked],
    "N3.2": [relu_marked],
    "N3.3": [weights_not_flagged],
    "N3.4": [bias_not_flagged],
    "N3.5": [quantized],
    "N4.1": [same_names, loss_called_like_a_layer, two_unnamed],
    "L3.6": [quantized_beside_the_head],
    "L3.7": [sixteen_bit],
    "L3.11": [side_branch_marked],
    "L11.10": [batchnorm_on_the_way],
    "L490": [two_convolutions_marked],
    "L2048": [state_answered],
}
