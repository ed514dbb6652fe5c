"""Rules for the training inputs, which an app provides for an update (``ModelDescription.trainingInput``)."""

from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.features import equal_types, feature_named
from coreml_updatable.spec.graph import loss_blobs
from coreml_updatable.spec.messages import FeatureDescription, Model
from coreml_updatable.spec.network import network_of

_WHERE = "trainingInput"


def two_training_inputs(model: Model) -> Iterator[Finding]:
    """There are at least two training inputs."""
    count = len(model.description.trainingInput)
    if count < 2:
        yield Finding(_WHERE, f"has {count} feature{'s' * (count != 1)}", "at least two")


def one_is_an_input(model: Model) -> Iterator[Finding]:
    """At least one training input equals a model input in name and type."""
    description = model.description
    for feature in description.trainingInput:
        array, known = feature.type.multiArrayType, feature_named(description.input, str(feature.name))
        compared = known is not None and known.type.multiArrayType.dataType == array.dataType
        empty = array.WhichOneof("ShapeFlexibility") == "enumeratedShapes" and not array.enumeratedShapes.shapes
        if compared and empty:
            yield Finding(
                f"{_WHERE} '{feature.name}'", "lists no shapes, which makes Apple's compiler crash", "at least one"
            )
    if len(description.trainingInput) >= 2 and len(targets(model)) == len(description.trainingInput):
        names = [str(feature.name) for feature in description.trainingInput]
        yield Finding(_WHERE, f"{names} are not inputs of the model, or have another type", "an input")


def one_is_a_target(model: Model) -> Iterator[Finding]:
    """At least one training input is not a model input: the target."""
    if len(model.description.trainingInput) >= 2 and not targets(model):
        yield Finding(_WHERE, "holds only inputs of the model", "a target, too")


def plain_target(model: Model) -> Iterator[Finding]:
    """In a plain network or a regressor, one of them is named like the target of the loss."""
    if model.WhichOneof("Type") == "neuralNetworkClassifier" or not _complete(model):
        return
    target = _loss_target(model)
    if target not in {str(feature.name) for feature in targets(model)}:
        yield Finding(_WHERE, f"lacks the loss target '{target}'", "it")


def classifier_target(model: Model) -> Iterator[Finding]:
    """In a classifier, one of them is named like the predicted feature or the target of the loss."""
    if model.WhichOneof("Type") != "neuralNetworkClassifier" or not _complete(model):
        return
    wanted = {str(model.description.predictedFeatureName), _loss_target(model)}
    if not wanted & {str(feature.name) for feature in targets(model)}:
        yield Finding(_WHERE, "lacks the label", f"one of {sorted(name for name in wanted if name)}")


def label_type(model: Model) -> Iterator[Finding]:
    """A training input named like the predicted feature has the type of that output."""
    if model.WhichOneof("Type") != "neuralNetworkClassifier":
        return
    name = str(model.description.predictedFeatureName)
    given, answer = feature_named(targets(model), name), feature_named(model.description.output, name)
    if given is not None and answer is not None and not equal_types(given, answer):
        actual, expected = given.type.WhichOneof("Type"), answer.type.WhichOneof("Type")
        yield Finding(f"{_WHERE} '{name}'", f"is a {actual}", f"{expected}, like the output")


def targets(model: Model) -> list[FeatureDescription]:
    """Return the training inputs that do not equal a model input."""
    inputs = model.description.input
    return [
        feature
        for feature in model.description.trainingInput
        if not any(feature.name == known.name and equal_types(feature, known) for known in inputs)
    ]


def _complete(model: Model) -> bool:
    return len(model.description.trainingInput) >= 2 and bool(targets(model))


def _loss_target(model: Model) -> str:
    loss = loss_blobs(network_of(model))
    return loss[1] if loss is not None else ""
