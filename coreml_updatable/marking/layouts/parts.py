"""The two parts of a trainable model, each a model of its own."""

from dataclasses import dataclass

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.features import describe_type, equal_types, feature_named
from coreml_updatable.spec.messages import FeatureDescription, Model, Model_pb2

FEATURES = "features"  # what the extractor hands to the head, unless that name is taken


@dataclass(frozen=True)
class Parts:
    """``extractor`` is frozen; ``head`` reads what it gives, and learns."""

    extractor: Model
    head: Model


def handed_over(parts: Parts) -> FeatureDescription:
    """The head's one input, an output of the extractor. Raises ModelError where the two do not belong together."""
    for name, part in (("extractor", parts.extractor), ("head", parts.head)):
        if part.WhichOneof("Type") is None:
            raise ModelError(f"{name}: holds no model, expected one; build it again")
    inputs = parts.head.description.input
    if len(inputs) != 1:
        names = ", ".join(repr(str(feature.name)) for feature in inputs) or "none"
        raise ModelError(f"head: has {len(inputs)} inputs ({names}), expected one, the extractor's features; cut again")
    given = feature_named(parts.extractor.description.output, str(inputs[0].name))
    if given is None:
        found = ", ".join(repr(str(feature.name)) for feature in parts.extractor.description.output) or "nothing"
        raise ModelError(
            f"head: reads {str(inputs[0].name)!r}, the extractor gives {found}; take files that belong together"
        )
    if not equal_types(given, inputs[0]):
        raise ModelError(
            f"head: reads {str(inputs[0].name)!r} as {describe_type(inputs[0])}, the extractor gives "
            f"{describe_type(given)}; take files that belong together"
        )
    return given


def training_inputs(parts: Parts) -> list[FeatureDescription]:
    """What the whole is trained with: as the head, with the extractor's inputs in the place of the features."""
    features = str(parts.head.description.input[0].name)
    found: list[FeatureDescription] = []
    for feature in parts.head.description.trainingInput:
        found.extend(parts.extractor.description.input if feature.name == features else [feature])
    return found


def copy_of(model: Model) -> Model:
    made = Model_pb2.Model()
    made.CopyFrom(model)
    return made
