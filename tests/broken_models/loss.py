"""Updatable networks whose loss is broken, or the way back from it."""

from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, NeuralNetwork_pb2
from coreml_updatable.spec.network import network_of
from tests.broken_models.valid import classifier, insert_layer, layer, loss, plain


def two_losses() -> Model:
    model = classifier()
    network_of(model).updateParams.lossLayers.add().CopyFrom(loss(model))
    network_of(model).updateParams.lossLayers[1].name = "loss2"
    return model


def no_loss() -> Model:
    model = classifier()
    del network_of(model).updateParams.lossLayers[:]
    return model


def loss_of_no_kind() -> Model:
    model = classifier()
    loss(model).ClearField("categoricalCrossEntropyLossLayer")
    return model


def loss_reads_softmax_nd() -> Model:
    model = classifier()
    layer(model, "softmax").softmaxND.axis = -3
    for feature in (model.description.input[0], model.description.trainingInput[0]):
        feature.type.multiArrayType.shape.insert(0, 1)
    network_of(model).arrayInputShapeMapping = NeuralNetwork_pb2.EXACT_ARRAY_MAPPING
    return model


def target_of_a_layer() -> Model:
    model = plain()
    loss(model).meanSquaredErrorLossLayer.target = "fc1"
    model.description.trainingInput[1].name = "fc1"
    return model


def squared_error_of_an_input() -> Model:
    model = plain()
    loss(model).meanSquaredErrorLossLayer.input = "x"
    return model


def leaky_relu_on_the_way() -> Model:
    model = classifier()
    _mark(model, "conv")
    layer(model, "relu").activation.leakyReLU.alpha = 0.1
    return model


def second_softmax_on_the_way() -> Model:
    model = classifier()
    layer(model, "softmax").input[0] = "softmax0"
    added = NeuralNetwork_pb2.NeuralNetworkLayer(name="softmax0", input=["fc"], output=["softmax0"])
    added.softmax.SetInParent()
    insert_layer(network_of(model), 4, added)
    return model


def softmax_under_squared_error() -> Model:
    model = plain()
    layer(model, "tanh").softmax.SetInParent()
    return model


def squared_error_of_a_linear_head() -> Model:
    model = plain()
    loss(model).meanSquaredErrorLossLayer.input = "fc2"
    return model


def picture_as_target() -> Model:
    model = plain()
    (target,) = [item for item in model.description.trainingInput if item.name == target_of(model)]
    target.type.imageType.width = target.type.imageType.height = 2
    target.type.imageType.colorSpace = FeatureTypes_pb2.ImageFeatureType.GRAYSCALE
    return model


def target_of(model: Model) -> str:
    return str(loss(model).meanSquaredErrorLossLayer.target)


def _mark(model: Model, name: str) -> None:
    marked = layer(model, name)
    marked.isUpdatable = True
    marked.convolution.weights.isUpdatable = marked.convolution.bias.isUpdatable = True


BREAKERS = {
    "N5.1": [two_losses],
    "N5.2": [no_loss],
    "N5.3": [loss_of_no_kind],
    "N5.4": [loss_reads_softmax_nd],
    "N5.6": [target_of_a_layer],
    "N5.7": [squared_error_of_an_input],
    "N6.1": [leaky_relu_on_the_way, second_softmax_on_the_way, softmax_under_squared_error],
    "L557": [picture_as_target],
    "L1983": [squared_error_of_a_linear_head],
}
