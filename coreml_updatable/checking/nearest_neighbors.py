"""Rules of a k-nearest-neighbours classifier (``KNearestNeighborsClassifier``)."""

from collections.abc import Iterator

from coreml_updatable.checking.interface import LABEL_TYPES, predicted_feature, probabilities_feature
from coreml_updatable.checking.parameters import default_in_range, default_in_set, default_positive, set_positive
from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.samples import nearest_neighbors_of, sample_labels

_DEFAULT_TYPES = {"defaultStringLabel": "stringType", "defaultInt64Label": "int64Type"}


def neighbors_allowed(model: Model) -> Iterator[Finding]:
    """numberOfNeighbors is 1 or more, and in its set or range, where it has one."""
    parameter, name = nearest_neighbors_of(model).numberOfNeighbors, "numberOfNeighbors"
    for find in (default_positive, default_in_set, set_positive, default_in_range):
        yield from find(name, parameter)


def weighting_set(model: Model) -> Iterator[Finding]:
    """A weighting scheme is set: uniform or inverse distance."""
    if nearest_neighbors_of(model).WhichOneof("WeightingScheme") is None:
        yield Finding("WeightingScheme", "is not set", "uniform or inverse distance")


def index_set(model: Model) -> Iterator[Finding]:
    """An index type is set: linear or single kd-tree."""
    if nearest_neighbors_of(model).nearestNeighborsIndex.WhichOneof("IndexType") is None:
        yield Finding("IndexType", "is not set", "linear or single kd-tree")


def leaf_size(model: Model) -> Iterator[Finding]:
    """A kd-tree has a leaf size of 1 or more."""
    index = nearest_neighbors_of(model).nearestNeighborsIndex
    if index.WhichOneof("IndexType") == "singleKdTreeIndex" and index.singleKdTreeIndex.leafSize < 1:
        yield Finding("leafSize", f"is {index.singleKdTreeIndex.leafSize}", "1 or more")


def distance_set(model: Model) -> Iterator[Finding]:
    """A distance function is set."""
    if nearest_neighbors_of(model).nearestNeighborsIndex.WhichOneof("DistanceFunction") is None:
        yield Finding("DistanceFunction", "is not set", "squared Euclidean")


def default_label_kind(model: Model) -> Iterator[Finding]:
    """The default label is of the kind of the class labels, where these are set."""
    classifier = nearest_neighbors_of(model)
    labels, default = classifier.WhichOneof("ClassLabels"), classifier.WhichOneof("DefaultClassLabel")
    if labels and default and LABEL_TYPES[labels] != _DEFAULT_TYPES[default]:
        yield Finding(default, f"does not fit {labels}", "the same kind")


def default_label_set(model: Model) -> Iterator[Finding]:
    """With no labels stored, a default label is set."""
    classifier = nearest_neighbors_of(model)
    if not sample_labels(classifier) and classifier.WhichOneof("DefaultClassLabel") is None:
        yield Finding("DefaultClassLabel", "is not set in an empty model", "one")


def one_label_a_sample(model: Model) -> Iterator[Finding]:
    """There are as many labels as samples."""
    classifier = nearest_neighbors_of(model)
    labels, samples = len(sample_labels(classifier)), len(classifier.nearestNeighborsIndex.floatSamples)
    if labels != samples:
        yield Finding("classLabels", f"{labels} labels for {samples} samples", "one label a sample")


def sample_lengths(model: Model) -> Iterator[Finding]:
    """Every sample has numberOfDimensions values."""
    index = nearest_neighbors_of(model).nearestNeighborsIndex
    for number, sample in enumerate(index.floatSamples):
        if len(sample.vector) != index.numberOfDimensions:
            found, expected = f"has {len(sample.vector)} values", str(index.numberOfDimensions)
            yield Finding(f"floatSamples[{number}]", found, expected)


def neighbors_label_output(model: Model) -> Iterator[Finding]:
    """There is an output called as the predicted feature, of the type of the labels or of the default label."""
    classifier = nearest_neighbors_of(model)
    labels, default = classifier.WhichOneof("ClassLabels"), classifier.WhichOneof("DefaultClassLabel")
    yield from predicted_feature(model, LABEL_TYPES.get(labels or "") or _DEFAULT_TYPES.get(default or ""))


def neighbors_probabilities(model: Model) -> Iterator[Finding]:
    """Where a name for the probabilities is given, it is an output and a dictionary or an array."""
    yield from probabilities_feature(model)
