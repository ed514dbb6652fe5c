"""One file with both parts: a smaller download where the extractor has 16 or 8 bits, and one model for the app."""

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.layout.parts import Parts, copy_of, handed_over, training_inputs
from coreml_updatable.marking.marking import LOWEST_SPECIFICATION_VERSION
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
    """Its two members. Raises ModelError for more or fewer, and for a pipeline that can not be updated."""
    members = pipeline_of(model).models
    if len(members) != 2:
        raise ModelError(
            f"pipeline: holds {len(members)} models, expected an extractor and a head; join the others first"
        )
    if not members[1].isUpdatable or members[0].isUpdatable:
        raise ModelError("pipeline: its last model, and only it, is expected to be updatable; mark the head first")
    parts = Parts(copy_of(members[0]), copy_of(members[1]))
    handed_over(parts)
    return parts
