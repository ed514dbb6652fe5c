"""Pipelines whose last model is trained: the outer model must be updatable and have the same training inputs."""

from collections.abc import Sequence

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.features import feature_named
from coreml_updatable.spec.messages import Model, copy_of
from coreml_updatable.spec.network import is_pipeline, pipeline_of


def with_trained_last(model: Model, last: Model) -> Model:
    """Return the pipeline ``model`` with the updatable ``last`` as its last member, and updatable itself.

    Earlier members stay unchanged (``visionFeaturePrint``, ``dictVectorizer`` ...). The outputs of the new member
    replace those of the old one; the training inputs are the inputs of the pipeline and the target of ``last``. Raises
    ModelError if an output would have the name of another feature.
    """
    result = copy_of(model)
    members = pipeline_of(result).models
    old = [str(feature.name) for feature in members[-1].description.output]
    _check_names(result, last)
    became_classifier = bool(last.description.predictedFeatureName and not members[-1].description.predictedFeatureName)
    members[-1].CopyFrom(last)
    for member in members[:-1]:
        freeze(member)
    if became_classifier and result.WhichOneof("Type") == "pipeline":
        inner = copy_of(result.pipeline)
        result.pipelineClassifier.pipeline.CopyFrom(inner)
    _write_outputs(result, old, last)
    description = result.description
    output = {str(feature.name): str(feature.shortDescription) for feature in description.trainingInput}
    inputs = {str(feature.name) for feature in last.description.input}
    del description.trainingInput[:]
    description.trainingInput.extend(description.input)
    description.trainingInput.extend(f for f in last.description.trainingInput if f.name not in inputs)
    for feature in description.trainingInput:
        feature.shortDescription = output.get(str(feature.name)) or feature.shortDescription
    result.isUpdatable = True
    result.specificationVersion = max(result.specificationVersion, *(member.specificationVersion for member in members))
    return result


def freeze(model: Model) -> None:
    """Make the model and all its members not updatable, in place."""
    model.isUpdatable = False
    for member in pipeline_of(model).models if is_pipeline(model) else ():
        freeze(member)


def _write_outputs(result: Model, old: Sequence[str], last: Model) -> None:
    """Write the outputs of the last member as they are now, and those of the other members as they were."""
    description = result.description
    shown = [copy_of(feature) for feature in description.output]
    new = [feature for feature in last.description.output if feature.name not in old]
    del description.output[:]
    for feature in shown:
        now = feature_named(last.description.output, str(feature.name))
        if str(feature.name) in old and now is None:
            continue  # it was renamed, or is no output of a classifier
        added = description.output.add()
        added.CopyFrom(now if now is not None and str(feature.name) in old else feature)
        added.shortDescription = str(feature.shortDescription) or added.shortDescription
    description.output.extend(new)
    if result.WhichOneof("Type") == "pipelineClassifier":
        description.predictedFeatureName = last.description.predictedFeatureName
        description.predictedProbabilitiesName = last.description.predictedProbabilitiesName


def _check_names(model: Model, last: Model) -> None:
    members = pipeline_of(model).models
    taken = {str(feature.name) for feature in model.description.input}
    taken |= {str(feature.name) for member in members[:-1] for feature in member.description.output}
    for feature in last.description.output:
        if feature.name in taken:
            raise ModelError(
                f"features: {str(feature.name)!r} cannot be an output, because an input or an earlier model has that "
                "name; choose another"
            )
