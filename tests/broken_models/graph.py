"""Networks whose graph, ranks or answers are broken."""

from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, NeuralNetwork_pb2
from tests.broken_models.valid import classifier, exact, insert_layer, layer, looping, plain, regressor


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


def writes_the_input() -> Model:
    model = exact()
    added = NeuralNetwork_pb2.NeuralNetworkLayer(name="again", input=["x"], output=["x"])
    added.activation.ReLU.SetInParent()
    insert_layer(model.neuralNetwork, 0, added)
    return model


def two_writers_inside_a_loop() -> Model:
    model = looping()
    body = model.neuralNetwork.layers[2].loop.bodyNetwork
    body.layers.add().CopyFrom(body.layers[0])
    return model


def reads_ahead_inside_a_loop() -> Model:
    model = looping()
    model.neuralNetwork.layers[2].loop.bodyNetwork.layers[0].input[1] = "y"
    return model


def two_images_for_a_product() -> Model:
    model = exact()
    layer(model, "fc").input.append("squeeze")
    return model


def split_into_one() -> Model:
    model = exact()
    layer(model, "squeeze").split.SetInParent()
    return model


def activation_of_no_function() -> Model:
    model = plain()
    model.isUpdatable = False
    layer(model, "sigmoid").activation.ClearField("sigmoid")
    return model


def layer_of_no_kind() -> Model:
    model = exact()
    layer(model, "squeeze").ClearField("squeeze")
    return model


def convolution_without_padding() -> Model:
    model = exact()
    layer(model, "conv").convolution.ClearField("valid")
    return model


def split_of_other_parts() -> Model:
    model = looping()
    layer(model, "last").splitND.numSplits = 1
    layer(model, "last").output.append("other half")
    return model


def pads_one_side_only() -> Model:
    model = looping()
    layer(model, "last").constantPad.padAmounts.append(1)
    return model


def answer_of_no_layer() -> Model:
    model = exact()
    model.description.output[0].name = "z"
    return model


def answer_described_twice() -> Model:
    model = exact()
    model.description.output.add().CopyFrom(model.description.output[0])
    return model


def new_images_beside_old_arrays() -> Model:
    model = plain()
    model.neuralNetwork.imageInputShapeMapping = NeuralNetwork_pb2.RANK4_IMAGE_MAPPING
    return model


def ranges_of_another_rank() -> Model:
    model = exact()
    array = model.description.input[0].type.multiArrayType
    array.enumeratedShapes.shapes.add(shape=[1, 3, 8, 8])
    array.shape[:] = []
    return model


def stated_rank_of_another_input() -> Model:
    model = exact()
    layer(model, "conv").inputTensor.add(rank=5)
    return model


def stated_ranks_too_many() -> Model:
    model = exact()
    for _ in range(2):
        layer(model, "conv").inputTensor.add(rank=4)
    return model


def stated_lengths_too_few() -> Model:
    model = exact()
    layer(model, "conv").inputTensor.add(rank=4, dimValue=[1, 3])
    return model


def break_outside_of_a_loop() -> Model:
    model = looping()
    model.neuralNetwork.layers.add(name="stop").loopBreak.SetInParent()
    return model


def loop_of_another_condition() -> Model:
    model = looping()
    loop = layer(model, "loop").loop
    loop.conditionVar = "one"
    loop.conditionNetwork.layers.add(name="look", input=["one"], output=["looked"]).erf.SetInParent()
    return model


def probabilities_as_whole_numbers() -> Model:
    model = plain()
    model.description.output[0].type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.INT32
    return model


def string_input() -> Model:
    model = exact()
    model.description.input.add(name="word").type.stringType.SetInParent()
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
    model.description.output.add().CopyFrom(model.description.output[0])
    model.description.output[-1].name = "nowhere"
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


def softmax_at_rank_3() -> Model:
    """The classes on axis -3 of [2, 1, 1]: by the format a softmax of two, by measurements of one."""
    model = softmax_at_rank_2()
    shaped = NeuralNetwork_pb2.NeuralNetworkLayer(name="shaped", input=["fc"], output=["shaped"])
    shaped.reshapeStatic.targetShape.extend([2, 1, 1])
    insert_layer(model.neuralNetwork, 4, shaped)
    layer(model, "softmax").input[0] = "shaped"
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
    "N2.1": [reads_ahead, no_layers, reads_ahead_inside_a_loop],
    "N2.2": [two_writers, writes_the_input, two_writers_inside_a_loop],
    "N2.3": [string_input],
    "N2.8": [old_mapping, new_images_beside_old_arrays],
    "N2.9": [rank_2_input, ranges_of_another_rank],
    "N2.13": [
        declared_rank_too_low,
        declared_ranks_differ,
        stated_rank_of_another_input,
        stated_ranks_too_many,
        stated_lengths_too_few,
    ],
    "N2.16": [two_images_for_a_product, split_into_one],
    "N2.17": [
        activation_of_no_function,
        layer_of_no_kind,
        convolution_without_padding,
        split_of_other_parts,
        pads_one_side_only,
    ],
    "L1.12": [probabilities_as_whole_numbers],
    "N2.19": [break_outside_of_a_loop, loop_of_another_condition],
    "N2.18": [answer_of_no_layer, answer_described_twice],
    "N8b.1": [no_labels],
    "N8b.2": [label_is_no_output, labels_of_another_type],
    "N8b.3": [probabilities_are_no_output, probabilities_are_a_string],
    "N8b.4": [probabilities_of_no_layer],
    "N8b.5": [output_of_no_layer],
    "N8b.6": [regressor_without_output, regressor_answers_string],
    "L2.10": [contradicting_channels, output_described_otherwise],
    "L2.14": [softmax_at_rank_2],
    "L1714": [softmax_at_rank_3],
    "L5.9": [two_labels],
}
