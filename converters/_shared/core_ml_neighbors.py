"""Build an updatable nearest-neighbors classifier with samples, for sources that store rows."""

from collections.abc import Sequence

from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.spec.features import add_label_outputs, describe_floats
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.weights import packed

from .core_ml_layers import SPECIFICATION_VERSION

MOST_NEIGHBORS = 100  # that an app may choose, unless the source has more
DEFAULT_TEXT, DEFAULT_NUMBER = "unknown", -1  # the answer of a model that has been reset


def nearest_neighbors(rows: Float64Array, labels: Sequence[str] | Sequence[int], name: str, neighbors: int) -> Model:
    """Return a Euclidean ``kNearestNeighborsClassifier`` of ``rows`` [n, features] with equal votes."""
    result = Model_pb2.Model(specificationVersion=SPECIFICATION_VERSION, isUpdatable=True)
    classifier = result.kNearestNeighborsClassifier
    index = classifier.nearestNeighborsIndex
    index.numberOfDimensions = rows.shape[1]
    index.linearIndex.SetInParent()
    index.squaredEuclideanDistance.SetInParent()
    classifier.uniformWeighting.SetInParent()
    classifier.numberOfNeighbors.defaultValue = neighbors
    classifier.numberOfNeighbors.range.minValue = 1
    classifier.numberOfNeighbors.range.maxValue = max(MOST_NEIGHBORS, neighbors)
    for row in rows:
        index.floatSamples.add().MergeFromString(packed(row))
    if isinstance(labels[0], str):
        classifier.stringClassLabels.vector.extend(labels)
        classifier.defaultStringLabel = DEFAULT_TEXT
    else:
        classifier.int64ClassLabels.vector.extend(labels)
        classifier.defaultInt64Label = DEFAULT_NUMBER
    describe_floats(result.description.input.add(name=name), rows.shape[1])
    answer_features(result, labels)
    return result


def answer_features(model: Model, labels: Sequence[str] | Sequence[int]) -> None:
    """Describe the outputs and the training inputs, with the type of ``labels``."""
    add_label_outputs(model.description, "label", "labelProbability", whole=not isinstance(labels[0], str))
    model.description.trainingInput.extend([*model.description.input, model.description.output[0]])
