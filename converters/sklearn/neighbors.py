"""KNeighborsClassifier as an updatable nearest-neighbors classifier with the samples it was fitted on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from coreml_updatable.errors import SourceError
from coreml_updatable.spec.features import describe_floats
from coreml_updatable.spec.messages import Model, Model_pb2

from .._shared.core_ml_layers import SPECIFICATION_VERSION, NetworkText
from .._shared.core_ml_neighbors import answer_features, nearest_neighbors
from .linear import Linear, numbers
from .networks import write_linear
from .steps import NO_OTHER_METRIC, feature_count

EMBEDDING = "scaled"


def is_neighbors(classifier: Any) -> bool:
    from sklearn.neighbors import KNeighborsClassifier

    return isinstance(classifier, KNeighborsClassifier)


def neighbors_of(classifier: Any, linear: Sequence[Linear], name: str, labels: Sequence[str] | Sequence[int]) -> Model:
    """Return a ``kNearestNeighborsClassifier``; with linear steps, a ``pipelineClassifier`` of both."""
    _refuse_other_votes(classifier)
    if not linear:
        return _classifier(classifier, name, labels)
    length = feature_count(classifier)
    front = NetworkText(name, linear[0].features)
    write_linear(front, linear)
    embedding = EMBEDDING if name != EMBEDDING else f"{EMBEDDING}_"
    back = _classifier(classifier, embedding, labels)
    result = Model_pb2.Model(specificationVersion=SPECIFICATION_VERSION, isUpdatable=True)
    pipeline = result.pipelineClassifier.pipeline
    pipeline.models.extend([front.vector(embedding, length), back])
    pipeline.names.extend(["scaler", "nearestNeighbors"])
    describe_floats(result.description.input.add(name=name), linear[0].features)
    answer_features(result, labels)
    return result


def _refuse_other_votes(classifier: Any) -> None:
    euclidean = classifier.effective_metric_ == "euclidean" and not classifier.effective_metric_params_
    if not euclidean:
        raise SourceError(
            f"source: KNeighborsClassifier with the metric {classifier.effective_metric_!r}, {NO_OTHER_METRIC}"
        )
    if classifier.weights not in ("uniform", None):
        result = "a function" if callable(classifier.weights) else repr(classifier.weights)
        raise SourceError(
            f"source: KNeighborsClassifier with the weights {result}, but Apple does not document its inverse "
            "distance; fit it with weights='uniform'"
        )
    if not isinstance(classifier._fit_X, np.ndarray):
        raise SourceError("source: the KNeighborsClassifier was fitted on a sparse matrix; fit it on a dense array")


def _classifier(classifier: Any, name: str, labels: Sequence[str] | Sequence[int]) -> Model:
    rows = numbers(classifier._fit_X, (len(classifier._fit_X), feature_count(classifier)), "_fit_X")
    given = [labels[index] for index in np.ravel(classifier._y)]
    return nearest_neighbors(rows, given, name, int(classifier.n_neighbors))
