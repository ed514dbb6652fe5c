"""KNeighborsClassifier as an updatable nearest-neighbours classifier with the samples it was fitted on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from coreml_updatable.errors import SourceError
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.weights import packed

from .core_ml_layers import SPECIFICATION_VERSION, NetworkText, float_array
from .sklearn_networks import write_scalers
from .sklearn_steps import Scaler, feature_count, numbers

MOST_NEIGHBORS = 100  # that an app may choose, unless the estimator has more
DEFAULT_TEXT, DEFAULT_NUMBER = "unknown", -1  # the answer of a model that has been reset
EMBEDDING = "scaled"


def is_neighbors(classifier: Any) -> bool:
    from sklearn.neighbors import KNeighborsClassifier

    return isinstance(classifier, KNeighborsClassifier)


def neighbors_of(classifier: Any, scalers: Sequence[Scaler], name: str, labels: Sequence[str] | Sequence[int]) -> Model:
    """A ``kNearestNeighborsClassifier``; with scalers a ``pipelineClassifier`` of them and it."""
    _refuse_other_votes(classifier)
    if not scalers:
        return _classifier(classifier, name, labels)
    length = feature_count(classifier)
    front = NetworkText(name, length)
    write_scalers(front, scalers)
    embedding = EMBEDDING if name != EMBEDDING else f"{EMBEDDING}_"
    back = _classifier(classifier, embedding, labels)
    made = Model_pb2.Model(specificationVersion=SPECIFICATION_VERSION, isUpdatable=True)
    pipeline = made.pipelineClassifier.pipeline
    pipeline.models.extend([front.vector(embedding, length), back])
    pipeline.names.extend(["scaler", "nearestNeighbors"])
    float_array(made.description.input, name, length)
    _outputs(made, labels)
    return made


def _refuse_other_votes(classifier: Any) -> None:
    euclidean = classifier.effective_metric_ == "euclidean" and not classifier.effective_metric_params_
    if not euclidean:
        raise SourceError(
            f"source: KNeighborsClassifier with the metric {classifier.effective_metric_!r}, Core ML knows only the "
            "Euclidean distance; fit it with metric='euclidean'"
        )
    if classifier.weights not in ("uniform", None):
        found = "a function" if callable(classifier.weights) else repr(classifier.weights)
        raise SourceError(
            f"source: KNeighborsClassifier with the weights {found}, while Apple does not document what its inverse "
            "distance divides by; fit it with weights='uniform'"
        )
    if not isinstance(classifier._fit_X, np.ndarray):
        raise SourceError("source: KNeighborsClassifier fitted on a sparse matrix; fit it on a dense array")


def _classifier(classifier: Any, name: str, labels: Sequence[str] | Sequence[int]) -> Model:
    made = Model_pb2.Model(specificationVersion=SPECIFICATION_VERSION, isUpdatable=True)
    neighbors = made.kNearestNeighborsClassifier
    index = neighbors.nearestNeighborsIndex
    index.numberOfDimensions = feature_count(classifier)
    index.linearIndex.SetInParent()
    index.squaredEuclideanDistance.SetInParent()
    neighbors.uniformWeighting.SetInParent()
    neighbors.numberOfNeighbors.defaultValue = int(classifier.n_neighbors)
    neighbors.numberOfNeighbors.range.minValue = 1
    neighbors.numberOfNeighbors.range.maxValue = max(MOST_NEIGHBORS, int(classifier.n_neighbors))
    for row in numbers(classifier._fit_X, (len(classifier._fit_X), feature_count(classifier)), "_fit_X"):
        index.floatSamples.add().MergeFromString(packed(row))
    given = [labels[number] for number in np.ravel(classifier._y)]
    if isinstance(labels[0], str):
        neighbors.stringClassLabels.vector.extend(given)
        neighbors.defaultStringLabel = DEFAULT_TEXT
    else:
        neighbors.int64ClassLabels.vector.extend(given)
        neighbors.defaultInt64Label = DEFAULT_NUMBER
    float_array(made.description.input, name, feature_count(classifier))
    _outputs(made, labels)
    return made


def _outputs(model: Model, labels: Sequence[str] | Sequence[int]) -> None:
    description = model.description
    label, spread = description.output.add(name="label"), description.output.add(name="labelProbability")
    if isinstance(labels[0], str):
        label.type.stringType.SetInParent()
        spread.type.dictionaryType.stringKeyType.SetInParent()
    else:
        label.type.int64Type.SetInParent()
        spread.type.dictionaryType.int64KeyType.SetInParent()
    description.predictedFeatureName, description.predictedProbabilitiesName = label.name, spread.name
    description.trainingInput.extend([*description.input, label])
