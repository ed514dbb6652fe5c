"""Models that can be marked: networks, and linear models, which become networks. All others are refused.

two classes, one row of weights:     [1 - f(z), f(z)] = softmax([0, z])    z = w x + b, f the logistic function
C classes, the first the reference:  softmax([0, z1, ..., z(C-1)])

Both are softmax of [0; W] x + [0; b]. (``GLMClassifier`` of the format; Turi Create and scikit-learn export these.)
"""

from math import prod

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError, with_article
from coreml_updatable.marking.building_blocks import new_layer, reshape_static, softmax
from coreml_updatable.marking.classifier import write_kinds
from coreml_updatable.spec.features import the_input
from coreml_updatable.spec.messages import Model, Model_pb2, NeuralNetwork_pb2
from coreml_updatable.spec.network import NO_PROGRAMS, class_labels, is_network
from coreml_updatable.spec.weights import packed

_LOGIT, _REFERENCE_CLASS = 0, 0  # of ``PostEvaluationTransform`` and ``ClassEncoding``
_AS_SOFTMAX = "fit it with a softmax (multinomial) and convert it with `coreml-updatable convert`"
_MAX_FLOAT = float(np.finfo(np.float32).max)


def network_from_glm(model: Model) -> Model:
    """Return the ``glmClassifier`` as a ``neuralNetworkClassifier`` with the same features, labels and outputs.

    Raises ModelError for a probit and for one-vs-rest with more than two classes, which no softmax equals, and for
    weights that do not fit.
    """
    labels = class_labels(model)
    weights, bias = _with_reference(model, len(labels))
    result = Model_pb2.Model()
    result.specificationVersion = model.specificationVersion
    result.description.CopyFrom(model.description)
    network = result.neuralNetworkClassifier
    source = _flat_input(result, weights.shape[1])
    blobs = ["fc", "softmax"]
    taken = {str(feature.name) for feature in (*result.description.input, *result.description.output)}
    logits, probabilities = (blob + "_out" * (blob in taken) for blob in blobs)
    dense = new_layer("fc", source, logits)
    dense.innerProduct.outputChannels, dense.innerProduct.inputChannels = weights.shape
    dense.innerProduct.hasBias = True
    dense.innerProduct.weights.MergeFromString(packed(weights))
    dense.innerProduct.bias.MergeFromString(packed(bias))
    network.layers.extend([dense, softmax("softmax", logits, probabilities)])
    network.labelProbabilityLayerName = probabilities
    if isinstance(labels[0], str):
        network.stringClassLabels.vector.extend(labels)
    else:
        network.int64ClassLabels.vector.extend(labels)
    write_kinds(result, labels)
    return result


def _with_reference(model: Model, classes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[0; W] of shape [classes, D] and [0; b]."""
    glm = model.glmClassifier
    rows = [np.array(row.value, np.float64) for row in glm.weights]
    offset = np.array(glm.offset, np.float64) if len(glm.offset) else np.zeros(len(rows))
    if classes < 2 or not rows or len({len(row) for row in rows}) > 1 or not len(rows[0]) or len(offset) != len(rows):
        raise ModelError(
            f"glmClassifier: {len(rows)} rows of weights and {len(glm.offset)} offsets for {classes} classes, "
            "expected one offset per row, rows of equal length, and at least two classes; export it again"
        )
    if glm.postEvaluationTransform != _LOGIT:
        raise ModelError(
            "glmClassifier: is a probit, expected a logit, because a softmax cannot compute the normal distribution; "
            "fit a logistic regression"
        )
    binary = classes == 2 and len(rows) == 1
    if not binary and glm.classEncoding != _REFERENCE_CLASS:
        raise ModelError(
            f"glmClassifier: compares each of {classes} classes with the rest, expected one reference class, because "
            f"a softmax cannot compute {len(rows)} independent logistic functions; {_AS_SOFTMAX}"
        )
    if len(rows) != classes - 1:
        raise ModelError(
            f"glmClassifier: {len(rows)} rows of weights for {classes} classes, expected {classes - 1}; export it again"
        )
    weights = np.stack(rows)
    largest = np.abs(np.append(weights, offset)).max()
    if not largest <= _MAX_FLOAT:  # NaN too
        raise ModelError(
            f"glmClassifier: contains the number {largest:.3g}, which does not fit into 32 bits; export it again"
        )
    return np.concatenate([np.zeros((1, weights.shape[1])), weights]), np.concatenate([np.zeros(1), offset])


def _flat_input(model: Model, length: int) -> str:
    """The blob with the [length] numbers of the one input on axis -3; a ModelError for other inputs."""
    feature = the_input(model)
    kind, name = feature.type.WhichOneof("Type"), str(feature.name)
    shape = [int(size) for size in feature.type.multiArrayType.shape] if kind == "multiArrayType" else []
    if prod(shape) != length or not shape:
        result = f"an array of shape {shape}" if kind == "multiArrayType" else with_article(kind)
        raise ModelError(
            f"input {name!r}: is {result}, expected an array of {length} numbers, like the weights; export it again"
        )
    if len(shape) == 1:
        return name  # the old mapping puts a vector on axis -3
    network = model.neuralNetworkClassifier
    network.arrayInputShapeMapping = NeuralNetwork_pb2.EXACT_ARRAY_MAPPING
    network.layers.append(reshape_static("flat", name, "flat_out" if name == "flat" else "flat", [1, length, 1, 1]))
    return str(network.layers[0].output[0])


_TREES = (
    "trees cannot be trained by gradient descent; classify the same features with a network or a logistic regression"
)
_VECTORS = "support vectors cannot be turned into layers; fit a logistic regression"
_APPLES = "its weights are part of Apple's systems; put a network after it in a pipeline"
_TEXTS = (
    "its weights are Apple's and take text; make vectors of the text with an encoder in the app, and classify those "
    "with a network, as the sample `notes` does"
)
_REASONS = {
    "kNearestNeighborsClassifier": "nearest neighbors learn without marking; `coreml-updatable knn` makes them",
    "treeEnsembleClassifier": _TREES,
    "treeEnsembleRegressor": _TREES,
    "supportVectorClassifier": _VECTORS,
    "supportVectorRegressor": _VECTORS,
    "glmRegressor": "only classifiers of this type can be turned into networks; build it as a network",
    "visionFeaturePrint": _APPLES,
    "audioFeaturePrint": _APPLES,
    "textClassifier": _TEXTS,
    "wordTagger": _TEXTS,
}


def trainable(model: Model) -> tuple[Model, list[str]]:
    """Return the network that ``model`` is or equals, and what was done for it; ModelError for any other model."""
    if is_network(model):
        return model, []
    kind = model.WhichOneof("Type") or "model without a type"
    if kind == "mlProgram":
        raise ModelError(f"model: {NO_PROGRAMS}")
    if kind == "glmClassifier":
        return network_from_glm(model), ["glmClassifier became innerProduct and softmax, with the same predictions"]
    reason = _REASONS.get(kind, "models of this type have nothing to train; mark a network")
    raise ModelError(f"model: is {with_article(kind)}, expected a neural network: {reason}")
