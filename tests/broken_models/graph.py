"""Networks whose graph, weights, ranks or answers are broken."""

import numpy as np

from coreml_updatable.spec.messages import Model, NeuralNetwork_pb2
from tests.broken_models.valid import classifier, exact, insert_layer, layer, plain, regressor


def reads_ahead() -> Model:
    model = exact()
    layer(model, "fc").input[0] = "later"
    return model


def no_layers() -> Model:
    model = exact()
    del model.neuralNetwork.layers[:]
    return model


def two_writers() -> Model:
    model = exact()
    added = NeuralNetwork_pb2.NeuralNetworkLayer(name="again", input=["conv"], output=["pool"])
    added.activation.ReLU.SetInParent()
    insert_layer(model.neuralNetwork, 2, added)
    return model


def string_input() -> Model:
    model = exact()
    model.description.input.add(name="word").type.stringType.SetInParent()
    return model


def short_weights() -> Model:
    model = exact()
    del layer(model, "fc").innerProduct.weights.floatValue[-1]
    return model


def short_bias() -> Model:
    model = classifier()
    del layer(model, "conv").convolution.bias.floatValue[-1]
    return model


def mixed_precision() -> Model:
    model = classifier()
    model.isUpdatable = False
    bias = layer(model, "conv").convolution.bias
    bias.float16Value = np.array(bias.floatValue, "<f2").tobytes()
    del bias.floatValue[:]
    return model


def two_storages() -> Model:
    model = exact()
    layer(model, "fc").innerProduct.weights.rawValue = bytes(8)
    return model


def empty_convolution() -> Model:
    model = exact()
    layer(model, "conv").convolution.weights.Clear()
    return model


def old_mapping() -> Model:
    model = exact()
    model.neuralNetwork.arrayInputShapeMapping = NeuralNetwork_pb2.RANK5_ARRAY_MAPPING
    return model


def rank_2_input() -> Model:
    model = plain()
    for feature in (model.description.input[0], model.description.trainingInput[0]):
        feature.type.multiArrayType.shape.insert(0, 1)
    return model


def declared_rank_too_low() -> Model:
    model = exact()
    pool = layer(model, "pool")
    pool.inputTensor.add(rank=3)
    pool.outputTensor.add(rank=3)
    return model


def declared_ranks_differ() -> Model:
    model = exact()
    fc = layer(model, "fc")
    fc.inputTensor.add(rank=3)
    fc.outputTensor.add(rank=2)
    return model


def no_labels() -> Model:
    model = classifier()
    model.neuralNetworkClassifier.ClearField("stringClassLabels")
    return model


def label_is_no_output() -> Model:
    model = classifier()
    model.neuralNetworkClassifier.updateParams.lossLayers[0].categoricalCrossEntropyLossLayer.target = "label"
    output = next(feature for feature in model.description.output if feature.name == "label")
    model.description.output.remove(output)
    return model


def labels_of_another_type() -> Model:
    model = classifier()
    model.neuralNetworkClassifier.int64ClassLabels.vector.extend([0, 1, 2])
    return model


def probabilities_are_no_output() -> Model:
    model = classifier()
    model.description.predictedProbabilitiesName = "chances"
    return model


def probabilities_are_a_string() -> Model:
    model = classifier()
    output = next(feature for feature in model.description.output if feature.name == "probabilities")
    output.type.stringType.SetInParent()
    return model


def probabilities_of_no_layer() -> Model:
    model = classifier()
    model.neuralNetworkClassifier.labelProbabilityLayerName = "nowhere"
    return model


def output_of_no_layer() -> Model:
    model = classifier()
    model.description.output.add(name="nowhere").type.multiArrayType.SetInParent()
    return model


def regressor_without_output() -> Model:
    model = regressor()
    model.description.predictedFeatureName = "nowhere"
    return model


def regressor_answers_string() -> Model:
    model = regressor()
    model.description.output[0].type.stringType.SetInParent()
    return model


def contradicting_channels() -> Model:
    model = classifier()
    layer(model, "conv").convolution.valid.paddingAmounts.borderAmounts[0].startEdgeSize = 1
    return model


def softmax_at_rank_2() -> Model:
    model = exact()
    fc = layer(model, "fc")
    fc.output[0] = "fc"
    added = NeuralNetwork_pb2.NeuralNetworkLayer(name="softmax", input=["fc"], output=["y"])
    added.softmax.SetInParent()
    insert_layer(model.neuralNetwork, 4, added)
    del model.description.output[0].type.multiArrayType.shape[:]
    return model


def infinite_weight() -> Model:
    model = exact()
    layer(model, "fc").innerProduct.weights.floatValue[0] = float("inf")
    return model


def infinite_half() -> Model:
    model = exact()
    weights = layer(model, "fc").innerProduct.weights
    weights.float16Value = np.array([np.inf] * len(weights.floatValue), "<f2").tobytes()
    del weights.floatValue[:]
    return model


def scale_not_a_number() -> Model:
    model = exact()
    weights = layer(model, "fc").innerProduct.weights
    weights.rawValue = bytes(len(weights.floatValue))
    del weights.floatValue[:]
    weights.quantization.numberOfBits = 8
    weights.quantization.linearQuantization.scale.append(float("nan"))
    weights.quantization.linearQuantization.bias.append(0.0)
    return model


def table_not_a_number() -> Model:
    model = scale_not_a_number()
    weights = layer(model, "fc").innerProduct.weights
    weights.rawValue = bytes(1)
    weights.quantization.numberOfBits = 1
    weights.quantization.lookupTableQuantization.floatValue.extend([0.0, float("nan")])
    return model


def output_described_otherwise() -> Model:
    model = plain()
    model.description.output[0].type.multiArrayType.shape[0] = 3
    return model


def two_labels() -> Model:
    model = classifier()
    del model.neuralNetworkClassifier.stringClassLabels.vector[-1]
    return model


BREAKERS = {
    "N2.1": [reads_ahead, no_layers],
    "N2.2": [two_writers],
    "N2.3": [string_input],
    "N2.4": [short_weights, short_bias],
    "N2.5": [mixed_precision, two_storages],
    "N2.6": [empty_convolution],
    "N2.8": [old_mapping],
    "N2.9": [rank_2_input],
    "N2.13": [declared_rank_too_low, declared_ranks_differ],
    "N8b.1": [no_labels],
    "N8b.2": [label_is_no_output, labels_of_another_type],
    "N8b.3": [probabilities_are_no_output, probabilities_are_a_string],
    "N8b.4": [probabilities_of_no_layer],
    "N8b.5": [output_of_no_layer],
    "N8b.6": [regressor_without_output, regressor_answers_string],
    "L2.10": [contradicting_channels, output_described_otherwise],
    "L2.14": [softmax_at_rank_2],
    "L11.6": [infinite_weight, infinite_half, scale_not_a_number, table_not_a_number],
    "L5.9": [two_labels],
}
