"""The loss of an updatable network: its kind, its input, and the training input with the target."""

from typing import Literal, TypeAlias, get_args

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.parameters import parameters_message
from coreml_updatable.marking.path import softmax_of
from coreml_updatable.marking.settings import UpdateSettings
from coreml_updatable.marking.tail import answer_blob
from coreml_updatable.spec.features import feature_named
from coreml_updatable.spec.graph import RESHAPES, free_name, layer_kind, producers
from coreml_updatable.spec.messages import FeatureDescription, FeatureTypes_pb2, Model, NeuralNetwork
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes, element_count

Loss: TypeAlias = Literal["categorical_cross_entropy", "mean_squared_error"]
CROSS_ENTROPY: Loss = "categorical_cross_entropy"
SQUARED_ERROR: Loss = "mean_squared_error"


def loss_for(model: Model, wanted: Loss | None, *, labelled: bool) -> Loss:
    """Return the loss for ``model``, or for the classifier that labels make of it (``labelled``); None: by its type.

    A classifier learns labels by cross entropy, a regressor numbers by squared error. A plain network keeps the loss
    that it is marked with; otherwise, it uses the squared error if it outputs a single number, and cross entropy if it
    outputs several.
    """
    if wanted is not None and wanted not in get_args(Loss):
        raise ModelError(f"loss: found {wanted!r}, expected {' or '.join(map(repr, get_args(Loss)))}")
    kind = model.WhichOneof("Type")
    if labelled or kind == "neuralNetworkClassifier":
        if wanted == SQUARED_ERROR:
            raise ModelError(
                f"loss: is {wanted} for a classifier, which is trained with labels; expected {CROSS_ENTROPY}"
            )
        return CROSS_ENTROPY
    if kind == "neuralNetworkRegressor":
        if wanted == CROSS_ENTROPY:
            raise ModelError("model: is a regressor, expected a classifier for categorical cross entropy; give labels")
        return SQUARED_ERROR
    if wanted is not None:
        return wanted
    if model.isUpdatable and is_squared_error(network_of(model)):
        return SQUARED_ERROR
    shape = blob_shapes(model).get(answer_blob(model))
    return SQUARED_ERROR if shape is not None and element_count(shape) == 1 else CROSS_ENTROPY


def is_squared_error(network: NeuralNetwork) -> bool:
    """Return whether the network is marked with the squared error."""
    kinds = [loss.WhichOneof("LossLayerType") for loss in network.updateParams.lossLayers]
    return kinds == ["meanSquaredErrorLossLayer"]


def read_by_loss(model: Model, loss: Loss) -> str:
    """Return the blob that the loss reads: that of the softmax, or the output before layers that only reshape it."""
    network = network_of(model)
    if loss == CROSS_ENTROPY:
        return str(network.layers[softmax_of(network, model)].output[0])
    written, blob = producers(network.layers), answer_blob(model)
    while layer_kind(network.layers[written[blob]]) in set(RESHAPES) - {"flatten"}:
        source = str(network.layers[written[blob]].input[0])
        if source not in written:
            break
        blob = source
    return blob


def gradient_begins(model: Model, loss: Loss) -> str:
    """The blob at which the gradient of the network begins: before the softmax, which belongs to the loss."""
    if loss == SQUARED_ERROR:
        return read_by_loss(model, loss)
    network = network_of(model)
    return str(network.layers[softmax_of(network, model)].input[0])


def write_update(model: Model, loss: Loss, settings: UpdateSettings) -> None:
    """Write loss, parameters and training inputs, in place; existing ones are replaced."""
    description, network = model.description, network_of(model)
    source = read_by_loss(model, loss)
    classifies = model.WhichOneof("Type") == "neuralNetworkClassifier"
    target = str(description.predictedFeatureName) if classifies else f"{answer_blob(model)}_true"
    network.updateParams.CopyFrom(parameters_message(settings))
    layer = network.updateParams.lossLayers.add(name=free_name("loss", {str(layer.name) for layer in network.layers}))
    cross = loss == CROSS_ENTROPY
    params = layer.categoricalCrossEntropyLossLayer if cross else layer.meanSquaredErrorLossLayer
    params.input, params.target = source, target
    result = {str(feature.name): str(feature.shortDescription) for feature in description.trainingInput}
    del description.trainingInput[:]
    description.trainingInput.extend(description.input)
    answer = feature_named(description.output, target)
    if answer is not None:
        description.trainingInput.add().CopyFrom(answer)
    else:
        _describe_target(model, description.trainingInput.add(name=target), source, cross=cross)
    for feature in description.trainingInput:
        feature.shortDescription = result.get(str(feature.name)) or feature.shortDescription


def _describe_target(model: Model, feature: FeatureDescription, source: str, *, cross: bool) -> None:
    """As coremltools' builder has it: the class in an int32 array of one, or doubles in the shape of the answer."""
    array = feature.type.multiArrayType
    types = FeatureTypes_pb2.ArrayFeatureType
    array.dataType = types.INT32 if cross else types.DOUBLE
    if cross:
        array.shape.append(1)
        return
    answer = feature_named(model.description.output, answer_blob(model))
    stated = [] if answer is None else [int(length) for length in answer.type.multiArrayType.shape]
    if not stated:
        shape = blob_shapes(model).get(source)
        count = element_count(shape) if shape is not None else None
        if count is None:
            raise ModelError(
                f"output {answer_blob(model)!r}: has no fixed shape, which the target values need; export the model "
                "with a fixed shape"
            )
        stated = [count]
    array.shape.extend(stated)
