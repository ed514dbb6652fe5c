"""Turn a plain network into a classifier: labels, a label output and a dictionary of probabilities."""

from collections.abc import Sequence

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.features import check_distinct, rename_features
from coreml_updatable.marking.tail import answer_blob
from coreml_updatable.spec.messages import Model, copy_of
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.reserved_labels import reserved_labels, write_reserved_labels
from coreml_updatable.spec.shapes import blob_shapes, element_count

_NETWORK_FIELDS = ("layers", "preprocessing")
Labels = Sequence[str] | Sequence[int]


def as_classifier(
    model: Model, labels: Labels, *, label: str | None = None, probabilities: str | None = None, counted: bool = True
) -> Model:
    """Return the network as a ``neuralNetworkClassifier`` with ``labels`` in the order of its outputs.

    A plain network gets the outputs ``label`` (string or 64-bit integer) and ``probabilities`` (a dictionary), called
    ``label`` and ``labelProbability`` by default; a classifier keeps its names by default. Raises ModelError if the
    number of labels differs from that of the outputs; ``counted`` is False if the head is about to get that many.
    """
    check_labels(labels)
    blob = answer_blob(model)
    if counted:
        _check_count(model, blob, labels)
    result = copy_of(model)
    if model.WhichOneof("Type") != "neuralNetworkClassifier":
        _move_network(model, result)
        _write_outputs(result, label or "label", probabilities or "labelProbability")
    else:
        result = rename_answers(result, label, probabilities)
        blob = answer_blob(result)
    result.neuralNetworkClassifier.labelProbabilityLayerName = blob
    write_labels(result, labels)
    write_reserved_labels(result, reserved_labels(result))
    return result


def write_labels(model: Model, labels: Labels) -> None:
    """Write the labels of a classifier and the type of its features (string or integer), in place."""
    classifier = model.neuralNetworkClassifier
    if isinstance(labels[0], str):
        classifier.stringClassLabels.vector[:] = list(labels)
    else:
        classifier.int64ClassLabels.vector[:] = list(labels)
    write_kinds(model, labels)


def rename_answers(model: Model, label: str | None = None, probabilities: str | None = None) -> Model:
    """Return the classifier ``model`` with its label and probabilities outputs renamed; None keeps a name.

    Raises ModelError for a model without such outputs, and for a name that is taken.
    """
    if not (label or probabilities):
        return model
    description = model.description
    if not description.predictedFeatureName:
        raise ModelError(
            f"features: {label or probabilities!r} cannot name an output, because the model has no label; give its "
            "labels, too"
        )
    if probabilities and not description.predictedProbabilitiesName:
        raise ModelError(
            f"features: {probabilities!r} cannot name an output, because the model has no probabilities; omit it"
        )
    wanted = {description.predictedFeatureName: label, description.predictedProbabilitiesName: probabilities}
    return rename_features(model, {str(old): new for old, new in wanted.items() if old and new})


def _move_network(model: Model, result: Model) -> None:
    network, classifier = network_of(model), result.neuralNetworkClassifier
    classifier.Clear()
    for name in _NETWORK_FIELDS:
        getattr(classifier, name).extend(getattr(network, name))
    classifier.arrayInputShapeMapping = network.arrayInputShapeMapping
    classifier.imageInputShapeMapping = network.imageInputShapeMapping


def _write_outputs(result: Model, label: str, probabilities: str) -> None:
    description = result.description
    check_distinct([*(str(feature.name) for feature in description.input), label, probabilities])
    del description.output[:]
    del description.trainingInput[:]
    result.isUpdatable = False
    description.output.add(name=label)
    description.output.add(name=probabilities)
    description.predictedFeatureName = label
    description.predictedProbabilitiesName = probabilities


def write_kinds(result: Model, labels: Labels) -> None:
    """Set the type of the label and probabilities features to that of the labels, string or integer."""
    description, strings = result.description, isinstance(labels[0], str)
    for feature in (*description.output, *description.trainingInput):
        if feature.name == description.predictedFeatureName:
            field, kind = ("stringType", "int64Type")[not strings], feature.type
        elif feature.name == description.predictedProbabilitiesName:
            field, kind = ("stringKeyType", "int64KeyType")[not strings], feature.type.dictionaryType
        else:
            continue
        getattr(kind, field).SetInParent()


def check_labels(labels: Labels) -> None:
    """Raise ModelError unless there are at least two labels, of one type and without duplicates."""
    if isinstance(labels, str) or len(labels) < 2:
        raise ModelError(f"labels: found {labels!r}, expected at least two; give the label of every output")
    if (
        len({type(label) for label in labels}) != 1
        or not isinstance(labels[0], str | int)
        or isinstance(labels[0], bool)
    ):
        raise ModelError("labels: found strings and integers, expected only strings or only integers; use one type")
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if list(labels).count(label) > 1)
        raise ModelError(f"labels: {twice!r} is given twice, expected different labels; remove one")


def _check_count(model: Model, blob: str, labels: Labels) -> None:
    shape = blob_shapes(model).get(blob)
    count = element_count(shape) if shape is not None else None
    if count is not None and count != len(labels):
        raise ModelError(
            f"labels: found {len(labels)} for a network with {count} outputs, expected one per output; give {count} "
            "labels"
        )
