"""One file with both parts: a smaller download where the extractor has 16 or 8 bits, and one model for the app."""

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.layouts.parts import Parts, copy_of, handed_over, training_inputs
from coreml_updatable.marking.marking import LOWEST_SPECIFICATION_VERSION
from coreml_updatable.spec.features import feature_named
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.network import pipeline_of

NAMES = ("extractor", "head")


def to_pipeline(parts: Parts) -> Model:
    """A ``pipelineClassifier`` of both parts (of a plain head: a ``pipeline``), described as the head is."""
    handed_over(parts)
    head = parts.head.description
    made = Model_pb2.Model()
    versions = (LOWEST_SPECIFICATION_VERSION, parts.extractor.specificationVersion, parts.head.specificationVersion)
    made.specificationVersion = max(versions)
    made.isUpdatable = parts.head.isUpdatable
    classifies = bool(head.predictedFeatureName)
    inner = made.pipelineClassifier.pipeline if classifies else made.pipeline
    inner.models.extend([parts.extractor, parts.head])
    inner.names.extend(NAMES)
    made.description.input.extend(parts.extractor.description.input)
    made.description.output.extend(head.output)
    made.description.trainingInput.extend(training_inputs(parts))
    made.description.predictedFeatureName = head.predictedFeatureName
    made.description.predictedProbabilitiesName = head.predictedProbabilitiesName
    if head.HasField("metadata"):
        made.description.metadata.CopyFrom(head.metadata)
    return made


def from_pipeline(model: Model) -> Parts:
    """Its two members; what only the pipeline says of itself and its features, they say from now on.

    Raises ModelError for more or fewer, for a pipeline that cannot be updated, and for an answer not of the head.
    """
    members = pipeline_of(model).models
    if len(members) != 2:
        raise ModelError(
            f"pipeline: holds {len(members)} models, expected an extractor and a head; join the others first"
        )
    if not members[1].isUpdatable or members[0].isUpdatable:
        raise ModelError("pipeline: its last model, and only it, is expected to be updatable; mark the head first")
    parts = Parts(copy_of(members[0]), copy_of(members[1]))
    handed_over(parts)
    for feature in model.description.output:
        if feature_named(parts.head.description.output, str(feature.name)) is None:
            raise ModelError(
                f"output {str(feature.name)!r}: comes not from the head, expected the head's answers only; drop it"
            )
    _describe(model.description, parts.extractor.description, parts.head.description)
    return parts


def _describe(whole: Model, front: Model, back: Model) -> None:
    """Fill what is empty in the parts' descriptions, in place."""
    if whole.HasField("metadata") and not back.metadata.ByteSize():
        back.metadata.CopyFrom(whole.metadata)
    for given, taken in (
        (whole.input, front.input),
        (whole.output, back.output),
        (whole.trainingInput, back.trainingInput),
    ):
        for feature in taken:
            told = feature_named(given, str(feature.name))
            if told is not None and not feature.shortDescription:
                feature.shortDescription = told.shortDescription
