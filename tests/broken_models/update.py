"""Updatable networks whose marks, loss, path, parameters or training inputs are broken."""

from collections.abc import Callable

import numpy as np

from coreml_updatable.spec.messages import Model, NeuralNetwork_pb2
from coreml_updatable.spec.network import network_of
from tests.broken_models.valid import adam_classifier, classifier, insert_layer, layer, loss, plain, regressor, sgd


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


def no_optimizer() -> Model:
    model = classifier()
    network_of(model).updateParams.ClearField("optimizer")
    return model


def sgd_without_batch() -> Model:
    model = classifier()
    sgd(model).ClearField("miniBatchSize")
    return model


def adam_without_beta2() -> Model:
    model = adam_classifier()
    network_of(model).updateParams.optimizer.adamOptimizer.ClearField("beta2")
    return model


def no_epochs() -> Model:
    model = classifier()
    network_of(model).updateParams.ClearField("epochs")
    return model


def learning_rate_outside() -> Model:
    model = classifier()
    sgd(model).learningRate.range.minValue = 0.5
    return model


def eps_outside() -> Model:
    model = adam_classifier()
    network_of(model).updateParams.optimizer.adamOptimizer.eps.range.minValue = 0.5
    return model


def no_batch() -> Model:
    model = classifier()
    sgd(model).miniBatchSize.Clear()
    sgd(model).miniBatchSize.SetInParent()
    return model


def batch_not_in_set() -> Model:
    model = classifier()
    sgd(model).miniBatchSize.defaultValue = 7
    return model


def empty_set_of_epochs() -> Model:
    model = classifier()
    del network_of(model).updateParams.epochs.set.values[:]
    network_of(model).updateParams.epochs.set.SetInParent()
    return model


def zero_before_the_default() -> Model:
    model = classifier()
    sgd(model).miniBatchSize.set.values[:] = [0, 1]
    return model


def range_of_epochs_from_zero() -> Model:
    model = classifier()
    epochs = network_of(model).updateParams.epochs
    epochs.range.minValue, epochs.range.maxValue = 0, 10
    return model


def epochs_outside_range() -> Model:
    model = classifier()
    epochs = network_of(model).updateParams.epochs
    epochs.range.minValue, epochs.range.maxValue = 1, 2
    return model


def seed_not_in_set() -> Model:
    model = classifier()
    seed = network_of(model).updateParams.seed
    seed.defaultValue = -1
    seed.set.values.extend([0, 1])
    return model


def one_training_input() -> Model:
    model = classifier()
    del model.description.trainingInput[1]
    return model


def training_image_of_another_type() -> Model:
    model = classifier()
    model.description.trainingInput[0].type.multiArrayType.shape[0] = 4
    return model


def no_target_listed() -> Model:
    model = classifier()
    model.description.trainingInput[1].CopyFrom(model.description.trainingInput[0])
    return model


def another_target_listed(start: Callable[[], Model]) -> Callable[[], Model]:
    def build() -> Model:
        model = start()
        model.description.trainingInput[1].name = "something"
        return model

    build.__name__ = f"another_target_listed_in_{start.__name__}"
    return build


def whole_number_as_label() -> Model:
    model = classifier()
    model.description.trainingInput[1].type.int64Type.SetInParent()
    return model


def training_input_without_type() -> Model:
    model = classifier()
    model.description.trainingInput.add(name="more")
    return model


def sixteen_bit() -> Model:
    model = classifier()
    convolution = layer(model, "conv").convolution
    for weights in (convolution.weights, convolution.bias):
        weights.float16Value = np.array(weights.floatValue, "<f2").tobytes()
        del weights.floatValue[:]
    return model


def side_branch_marked() -> Model:
    model = classifier()
    added = NeuralNetwork_pb2.NeuralNetworkLayer()
    added.CopyFrom(layer(model, "fc"))
    added.name, added.output[0] = "side", "side"
    insert_layer(network_of(model), 3, added)
    return model


def two_labels() -> Model:
    model = classifier()
    del network_of(model).stringClassLabels.vector[-1]
    return model


def negative_learning_rate() -> Model:
    model = classifier()
    sgd(model).learningRate.Clear()
    sgd(model).learningRate.defaultValue = -0.1
    return model


def learning_rate_not_a_number() -> Model:
    model = classifier()
    sgd(model).learningRate.defaultValue = float("nan")
    return model


def momentum_above_one() -> Model:
    model = classifier()
    sgd(model).momentum.Clear()
    sgd(model).momentum.defaultValue = 1.5
    return model


def momentum_outside() -> Model:
    model = classifier()
    sgd(model).momentum.range.maxValue = 0.1
    return model


def zero_behind_the_default() -> Model:
    model = classifier()
    sgd(model).miniBatchSize.set.values[:] = [1, 0]
    return model


def batches_of_eight_only() -> Model:
    model = classifier()
    size = sgd(model).miniBatchSize
    size.defaultValue = 8
    size.set.values[:] = [8]
    return model


def epochs_of_ten_only() -> Model:
    model = classifier()
    epochs = network_of(model).updateParams.epochs
    epochs.defaultValue = 10
    epochs.set.values[:] = [10]
    return model


def target_is_an_array() -> Model:
    model = classifier()
    loss(model).categoricalCrossEntropyLossLayer.target = "truth"
    model.description.trainingInput[1].name = "truth"
    return model


def second_input_not_listed() -> Model:
    model = classifier()
    second = model.description.input.add()
    second.CopyFrom(model.description.input[0])
    second.name = "second"
    added = NeuralNetwork_pb2.NeuralNetworkLayer(name="add", input=["image", "second"], output=["sum"])
    added.add.SetInParent()
    insert_layer(network_of(model), 0, added)
    layer(model, "conv").input[0] = "sum"
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


def squared_error_of_a_linear_head() -> Model:
    model = plain()
    loss(model).meanSquaredErrorLossLayer.input = "fc2"
    return model


def _mark(model: Model, name: str) -> None:
    marked = layer(model, name)
    marked.isUpdatable = True
    marked.convolution.weights.isUpdatable = marked.convolution.bias.isUpdatable = True


BREAKERS = {
    "N3.1": [nothing_marked],
    "N3.2": [relu_marked],
    "N3.3": [weights_not_flagged],
    "N3.4": [bias_not_flagged],
    "N3.5": [quantized],
    "N4.1": [same_names, loss_called_like_a_layer, two_unnamed],
    "N5.1": [two_losses],
    "N5.2": [no_loss],
    "N5.3": [loss_of_no_kind],
    "N5.4": [loss_reads_softmax_nd],
    "N5.6": [target_of_a_layer],
    "N5.7": [squared_error_of_an_input],
    "N6.1": [leaky_relu_on_the_way, second_softmax_on_the_way, softmax_under_squared_error],
    "N7.1": [no_optimizer],
    "N7.2": [sgd_without_batch],
    "N7.3": [adam_without_beta2],
    "N7.4": [no_epochs],
    "N7.6": [learning_rate_outside, eps_outside],
    "N7.9": [no_batch],
    "N7.10": [batch_not_in_set, empty_set_of_epochs],
    "N7.11": [zero_before_the_default],
    "N7.12": [range_of_epochs_from_zero, epochs_outside_range],
    "N7.14": [seed_not_in_set],
    "N8.1": [one_training_input],
    "N8.2": [training_image_of_another_type],
    "N8.3": [no_target_listed],
    "N8.4": [another_target_listed(plain), another_target_listed(regressor)],
    "N8.5": [another_target_listed(classifier)],
    "N8.6": [whole_number_as_label],
    "L1.7": [training_input_without_type],
    "L3.7": [sixteen_bit],
    "L3.11": [side_branch_marked],
    "L5.9": [two_labels],
    "L7.7": [negative_learning_rate, learning_rate_not_a_number, momentum_above_one],
    "L7.8": [momentum_outside],
    "L7.11": [zero_behind_the_default],
    "L7.13": [batches_of_eight_only, epochs_of_ten_only],
    "L8.7": [target_is_an_array],
    "L8.9": [second_input_not_listed],
    "L11.10": [batchnorm_on_the_way],
    "L490": [two_convolutions_marked],
    "L1983": [squared_error_of_a_linear_head],
}
