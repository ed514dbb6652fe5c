"""Split an updatable model into two separate models, or join them in one pipeline.

A pipeline is a smaller download if the extractor has 16 or 8 bits, and a single model for the app.
"""

from dataclasses import dataclass

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.marking import LOWEST_SPECIFICATION_VERSION
from coreml_updatable.spec.features import describe_type, equal_types, feature_named
from coreml_updatable.spec.messages import FeatureDescription, Model, Model_pb2, copy_of
from coreml_updatable.spec.network import pipeline_of

FEATURES = "features"  # what the extractor hands to the head, unless that name is taken


@dataclass(frozen=True)
class Parts:
    """The two parts of a model: ``extractor`` is frozen; ``head`` reads its output and learns."""

    extractor: Model
    head: Model


def handed_over(parts: Parts) -> FeatureDescription:
    """Return the head's only input, an output of the extractor. Raises ModelError if they do not belong together."""
    for name, part in (("extractor", parts.extractor), ("head", parts.head)):
        if part.WhichOneof("Type") is None:
            raise ModelError(f"{name}: contains no model; build it again")
    inputs = parts.head.description.input
    if len(inputs) != 1:
        names = ", ".join(repr(str(feature.name)) for feature in inputs) or "none"
        raise ModelError(
            f"head: has {len(inputs)} inputs ({names}), expected 1, the extractor's features; split the model again"
        )
    given = feature_named(parts.extractor.description.output, str(inputs[0].name))
    if given is None:
        result = ", ".join(repr(str(feature.name)) for feature in parts.extractor.description.output) or "nothing"
        raise ModelError(
            f"head: reads {str(inputs[0].name)!r}, but the extractor outputs {result}; use two files of the same split"
        )
    if not equal_types(given, inputs[0]):
        raise ModelError(
            f"head: reads {str(inputs[0].name)!r} as {describe_type(inputs[0])}, but the extractor outputs "
            f"{describe_type(given)}; use two files of the same split"
        )
    return given


def training_inputs(parts: Parts) -> list[FeatureDescription]:
    """Return the training inputs of the whole model: the head's, with the extractor's inputs for the features."""
    features = str(parts.head.description.input[0].name)
    result: list[FeatureDescription] = []
    for feature in parts.head.description.trainingInput:
        result.extend(parts.extractor.description.input if feature.name == features else [feature])
    return result


NAMES = ("extractor", "head")


def to_pipeline(parts: Parts) -> Model:
    """Return a ``pipelineClassifier`` of both parts (a ``pipeline`` for a plain head), described like the head."""
    handed_over(parts)
    head = parts.head.description
    result = Model_pb2.Model()
    versions = (LOWEST_SPECIFICATION_VERSION, parts.extractor.specificationVersion, parts.head.specificationVersion)
    result.specificationVersion = max(versions)
    result.isUpdatable = parts.head.isUpdatable
    classifies = bool(head.predictedFeatureName)
    inner = result.pipelineClassifier.pipeline if classifies else result.pipeline
    inner.models.extend([parts.extractor, parts.head])
    inner.names.extend(NAMES)
    result.description.input.extend(parts.extractor.description.input)
    result.description.output.extend(head.output)
    result.description.trainingInput.extend(training_inputs(parts))
    result.description.predictedFeatureName = head.predictedFeatureName
    result.description.predictedProbabilitiesName = head.predictedProbabilitiesName
    if head.HasField("metadata"):
        result.description.metadata.CopyFrom(head.metadata)
    return result


def from_pipeline(model: Model) -> Parts:
    """Its two members; what only the pipeline says of itself and its features, they say from now on.

    Raises ModelError for more or fewer, for a pipeline that cannot be updated, and for an answer not of the head.
    """
    members = pipeline_of(model).models
    if len(members) != 2:
        raise ModelError(
            f"pipeline: contains {len(members)} models, expected an extractor and a head; join the others first"
        )
    if not members[1].isUpdatable or members[0].isUpdatable:
        raise ModelError("pipeline: expected its last model, and only that, to be updatable; mark the head first")
    parts = Parts(copy_of(members[0]), copy_of(members[1]))
    handed_over(parts)
    for feature in model.description.output:
        if feature_named(parts.head.description.output, str(feature.name)) is None:
            raise ModelError(
                f"output {str(feature.name)!r}: does not come from the head, expected only outputs of the head; "
                "remove it"
            )
    _describe(model.description, parts.extractor.description, parts.head.description)
    return parts


def _describe(whole: Model, front: Model, back: Model) -> None:
    """Fill in missing descriptions of the parts, in place."""
    if whole.HasField("metadata") and not back.metadata.ByteSize():
        back.metadata.CopyFrom(whole.metadata)
    for given, taken in (
        (whole.input, front.input),
        (whole.output, back.output),
        (whole.trainingInput, back.trainingInput),
    ):
        for feature in taken:
            result = feature_named(given, str(feature.name))
            if result is not None and not feature.shortDescription:
                feature.shortDescription = result.shortDescription
