"""What can be marked: a network, or a model that is turned into one; and what can not, with the reason."""

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.glm import network_from_glm
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import NO_PROGRAMS, is_network

_TREES = "a tree grows by no gradient; classify the same features with a network or a logistic regression"
_VECTORS = "support vectors are no layers; fit a logistic regression"
_APPLES = "its weights are Apple's; put a network behind it in a pipeline"
_REASONS = {
    "kNearestNeighborsClassifier": "nearest neighbours learn without marking; `coreml-updatable knn` makes them",
    "treeEnsembleClassifier": _TREES,
    "treeEnsembleRegressor": _TREES,
    "supportVectorClassifier": _VECTORS,
    "supportVectorRegressor": _VECTORS,
    "glmRegressor": "only classifiers of this kind are turned into networks; build it as a network",
    "visionFeaturePrint": _APPLES,
    "audioFeaturePrint": _APPLES,
}


def trainable(model: Model) -> tuple[Model, list[str]]:
    """The network that ``model`` is, or equals, and what was done for it; a ModelError for any other model."""
    if is_network(model):
        return model, []
    kind = model.WhichOneof("Type") or "model without a type"
    if kind == "mlProgram":
        raise ModelError(f"model: {NO_PROGRAMS}")
    if kind == "glmClassifier":
        return network_from_glm(model), ["glmClassifier became innerProduct and softmax, which answer the same"]
    reason = _REASONS.get(kind, "models of this kind have nothing to train; mark a network")
    raise ModelError(f"model: is a {kind}, expected a neural network: {reason}")
