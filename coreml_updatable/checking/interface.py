"""Rules for the outputs of classifiers and regressors."""

from collections.abc import Iterator, Sequence

from coreml_updatable.checking.problem import Finding
from coreml_updatable.checking.wires import written_blobs
from coreml_updatable.spec.cut_fractions import cut_outputs
from coreml_updatable.spec.features import feature_named
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels, network_of
from coreml_updatable.spec.shapes import blob_shapes, element_count

LABEL_TYPES = {"stringClassLabels": "stringType", "int64ClassLabels": "int64Type"}


def labels_given(model: Model) -> Iterator[Finding]:
    """A classifier has class labels."""
    if not class_labels(model):
        yield Finding("classLabels", "are missing", "a label for every output")


def label_output(model: Model) -> Iterator[Finding]:
    """A classifier has an output named like its predicted feature, with the type of the labels."""
    expected = LABEL_TYPES.get(model.neuralNetworkClassifier.WhichOneof("ClassLabels") or "")
    yield from predicted_feature(model, expected)


def probabilities_blob(model: Model) -> Iterator[Finding]:
    """labelProbabilityLayerName is empty or a blob that a layer writes."""
    name = str(network_of(model).labelProbabilityLayerName)
    if name and name not in written_blobs(model):
        yield Finding("labelProbabilityLayerName", f"is '{name}', which no layer writes", "a blob")


def other_outputs(model: Model) -> Iterator[Finding]:
    """Every other output of a classifier is a blob that a layer writes."""
    description = model.description
    named = {str(description.predictedFeatureName), str(description.predictedProbabilitiesName)}
    written = written_blobs(model)
    for feature in description.output:
        if feature.name and feature.name not in named and feature.name not in written:
            yield Finding(f"output '{feature.name}'", "is not written by any layer", "a blob")


def labels_fit_outputs(model: Model) -> Iterator[Finding]:
    """There are as many class labels as probabilities (if the shape of their blob is known)."""
    network, labels = network_of(model), class_labels(model)
    blob = str(network.labelProbabilityLayerName)
    if not blob and network.layers and network.layers[-1].output:
        blob = str(network.layers[-1].output[0])  # what the last layer writes, when none is named
    shape = blob_shapes(model).get(blob)
    count = element_count(shape) if shape is not None else None
    if labels and count is not None and count != len(labels):
        yield Finding("classLabels", f"{len(labels)} labels for {count} outputs", "one label per output")


def outputs_hold_fractions(model: Model) -> Iterator[Finding]:
    """The type of an output can hold what its layer computes: no fractions in integers, no 0-to-1 range in an image."""
    for cut in cut_outputs(model):
        yield Finding(
            f"output '{cut.name}'",
            f"is declared as {cut.declared}, but {cut.writer} computes {cut.gives}",
            "a type that holds them",
        )


def regressor_output(model: Model) -> Iterator[Finding]:
    """A regressor has an output named like its predicted feature: a double or an array."""
    allowed = ("doubleType", "multiArrayType")
    yield from _named_output(model, "predictedFeatureName", "an output", allowed, "a double or an array")


def predicted_feature(model: Model, expected: str | None) -> Iterator[Finding]:
    """The output named like the predicted feature, and its type if ``expected`` is known."""
    allowed = None if expected is None else (expected,)
    text = f"a {expected}, like the labels"
    yield from _named_output(model, "predictedFeatureName", "the label's output", allowed, text)


def probabilities_output(model: Model) -> Iterator[Finding]:
    """If a name for the probabilities is given, it is an output that is a dictionary or an array."""
    if model.description.predictedProbabilitiesName:
        allowed = ("dictionaryType", "multiArrayType")
        yield from _named_output(model, "predictedProbabilitiesName", "an output", allowed, "a dictionary")


def _named_output(
    model: Model, field: str, which: str, allowed: Sequence[str] | None, expected: str
) -> Iterator[Finding]:
    """The output that a ``field`` of the description names, and its type if ``allowed`` is known."""
    name = str(getattr(model.description, field))
    feature = feature_named(model.description.output, name) if name else None
    if feature is None:
        yield Finding(field, f"is '{name}', which is not an output", which, "name the output")
        return
    actual = feature.type.WhichOneof("Type")
    if allowed is not None and actual is not None and actual not in allowed:
        yield Finding(f"output '{name}'", f"is a {actual}", expected, "change its type")
