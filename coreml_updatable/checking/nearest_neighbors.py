"""Rules for k-nearest-neighbors classifiers (``KNearestNeighborsClassifier``): what Apple's compiler enforces, and
what it accepts in them and in pipelines although phones crash.
"""

from collections.abc import Iterator

from coreml_updatable.checking.interface import LABEL_TYPES, predicted_feature
from coreml_updatable.checking.lint_weights import not_finite_floats
from coreml_updatable.checking.parameters import default_in_range, default_in_set, default_positive, set_positive
from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.features import equal_types, feature_named
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import pipeline_of
from coreml_updatable.spec.samples import nearest_neighbors_of, sample_labels

_DEFAULT_TYPES = {"defaultStringLabel": "stringType", "defaultInt64Label": "int64Type"}


def neighbors_allowed(model: Model) -> Iterator[Finding]:
    """numberOfNeighbors is 1 or more, and in its set or range, if it has one."""
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
    """The default label has the type of the class labels, if there are any."""
    classifier = nearest_neighbors_of(model)
    labels, default = classifier.WhichOneof("ClassLabels"), classifier.WhichOneof("DefaultClassLabel")
    if labels and default and LABEL_TYPES[labels] != _DEFAULT_TYPES[default]:
        yield Finding(default, f"does not fit {labels}", "the same kind")


def default_label_set(model: Model) -> Iterator[Finding]:
    """If no labels are stored, a default label is set."""
    classifier = nearest_neighbors_of(model)
    if not sample_labels(classifier) and classifier.WhichOneof("DefaultClassLabel") is None:
        yield Finding("DefaultClassLabel", "is not set in an empty model", "one")


def one_label_a_sample(model: Model) -> Iterator[Finding]:
    """There are as many labels as samples."""
    classifier = nearest_neighbors_of(model)
    labels, samples = len(sample_labels(classifier)), len(classifier.nearestNeighborsIndex.floatSamples)
    if labels != samples:
        yield Finding("classLabels", f"{labels} labels for {samples} samples", "one label per sample")


def sample_lengths(model: Model) -> Iterator[Finding]:
    """Every sample has numberOfDimensions values."""
    index = nearest_neighbors_of(model).nearestNeighborsIndex
    for position, sample in enumerate(index.floatSamples):
        if len(sample.vector) != index.numberOfDimensions:
            actual, expected = f"has {len(sample.vector)} values", str(index.numberOfDimensions)
            yield Finding(f"floatSamples[{position}]", actual, expected)


def neighbors_label_output(model: Model) -> Iterator[Finding]:
    """There is an output named like the predicted feature, with the type of the labels or of the default label."""
    classifier = nearest_neighbors_of(model)
    labels, default = classifier.WhichOneof("ClassLabels"), classifier.WhichOneof("DefaultClassLabel")
    yield from predicted_feature(model, LABEL_TYPES.get(labels or "") or _DEFAULT_TYPES.get(default or ""))


def one_vector_input(model: Model) -> Iterator[Finding]:
    """A k-NN has one input, an array of rank 1: with another rank, phones crash (coremltools #1122, #913)."""
    inputs = model.description.input
    if len(inputs) != 1:
        yield Finding("description", f"has {len(inputs)} inputs", "one", "keep only the embedding")
        return
    where = f"input '{inputs[0].name}'"
    if inputs[0].type.WhichOneof("Type") != "multiArrayType":
        yield Finding(where, f"is a {inputs[0].type.WhichOneof('Type')}", "a multi-array", "put an extractor before it")
    elif len(inputs[0].type.multiArrayType.shape) != 1:
        result = list(inputs[0].type.multiArrayType.shape)
        yield Finding(where, f"has the shape {result}", "rank 1", "end the extractor in a squeeze or reshapeStatic")


def dimensions_fit(model: Model) -> Iterator[Finding]:
    """numberOfDimensions is 1 or more and equals the length of the input."""
    dimensions = nearest_neighbors_of(model).nearestNeighborsIndex.numberOfDimensions
    if dimensions < 1:
        yield Finding("numberOfDimensions", f"is {dimensions}", "1 or more", "set it to the length of the input")
        return
    for feature in model.description.input:
        shape = list(feature.type.multiArrayType.shape)
        if len(shape) == 1 and shape[0] != dimensions:
            yield Finding(
                "numberOfDimensions", f"is {dimensions}", f"{shape[0]}, the input's length", "make them equal"
            )


def samples_finite(model: Model) -> Iterator[Finding]:
    """No stored sample contains NaN or infinite numbers; its distance to everything would be NaN."""
    for index, sample in enumerate(nearest_neighbors_of(model).nearestNeighborsIndex.floatSamples):
        if not_finite_floats(sample):
            yield Finding(f"floatSamples[{index}]", "holds NaN or infinite numbers", "finite ones")


def last_member_fed(model: Model) -> Iterator[Finding]:
    """Each training input of the last member is a training input of the pipeline or computed by an earlier member."""
    members = pipeline_of(model).models
    if not model.isUpdatable or not members:
        return
    known = {str(feature.name) for feature in model.description.trainingInput}
    known |= {str(feature.name) for member in members[:-1] for feature in member.description.output}
    known |= {str(feature.name) for feature in members[-1].description.input}  # of these other rules speak
    known.add(str(model.description.predictedFeatureName))
    for feature in members[-1].description.trainingInput:
        if feature.name not in known:
            yield Finding("trainingInput", f"lacks '{feature.name}', which the last member is trained with", "it")


def neighbors_training_inputs(model: Model) -> Iterator[Finding]:
    """The training inputs of an updatable k-NN or pipeline are its input and its label, with the same descriptions."""
    description = model.description
    if not model.isUpdatable:
        return
    label = feature_named(description.output, str(description.predictedFeatureName))
    for feature in (*description.input, *([label] if label is not None else [])):
        given = feature_named(description.trainingInput, str(feature.name))
        if given is None:
            yield Finding("trainingInput", f"lacks '{feature.name}'", "it")
        elif not equal_types(given, feature):
            yield Finding(f"trainingInput '{feature.name}'", "is of another type", "the same type")


def default_label_given(model: Model) -> Iterator[Finding]:
    """A default label is set, for a model that an app has reset."""
    classifier = nearest_neighbors_of(model)
    stored = len(classifier.stringClassLabels.vector) + len(classifier.int64ClassLabels.vector)
    if stored and classifier.WhichOneof("DefaultClassLabel") is None:
        yield Finding("DefaultClassLabel", "is not set", "one")


def pipeline_names_output(model: Model) -> Iterator[Finding]:
    """The predicted feature of a pipelineClassifier or pipelineRegressor is one of its outputs."""
    name = str(model.description.predictedFeatureName)
    named = model.WhichOneof("Type") == "pipeline" or feature_named(model.description.output, name) is not None
    if pipeline_of(model).models and not named:
        yield Finding("predictedFeatureName", f"is '{name}', which is not an output", "an output")
