"""Load a runnable model from a file or a message."""

from copy import copy
from os import PathLike
from pathlib import Path

from coreml_updatable.errors import ModelError, located
from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.runtime.model import RunnableModel
from coreml_updatable.runtime.pipeline import AbsentModel, PipelineModel, why
from coreml_updatable.runtime.steps import KINDS as STEP_KINDS
from coreml_updatable.spec.io import read_model
from coreml_updatable.spec.messages import Model, expect_message
from coreml_updatable.spec.network import NETWORK_KINDS, NO_PROGRAMS, PIPELINE_KINDS, pipeline_of
from coreml_updatable.spec.shapes import MAX_AXES
from coreml_updatable.typed import typed

MAX_DEPTH = 8  # pipelines inside pipelines
RUNS = (*NETWORK_KINDS, *PIPELINE_KINDS, *STEP_KINDS, "kNearestNeighborsClassifier", "mlProgram")  # or says why not


@typed
def load(
    model: PathLike[str] | str | Model | RunnableModel, *, assumptions: PredictionAssumptions | None = None
) -> RunnableModel:
    """Return a runnable model from a file or a message; a loaded model is returned unchanged.

    ``assumptions``: choices for what Apple leaves open about predictions; an ``UpdateTask`` with this model also uses
    its choices about training. None: the defaults, or those of a loaded model. With other assumptions, a loaded model
    is loaded again. Do not change the message afterwards. Raises ModelError for anything that is not a model or cannot
    run here.
    """
    if isinstance(model, RunnableModel):
        return model if assumptions is None else _under(model, assumptions)
    if not isinstance(model, str | PathLike):
        expect_message(model)
        return _runnable(model, assumptions, MAX_DEPTH)
    with located("model", model):
        return _runnable(read_model(Path(model)), assumptions, MAX_DEPTH)


def _under(model: RunnableModel, assumptions: PredictionAssumptions) -> RunnableModel:
    """Return the model with other assumptions; it shares everything that computes the same under them."""
    if isinstance(model, PipelineModel):
        return model.under(assumptions, [_under(member, assumptions) for member in model.members])
    if not assumptions.predict_alike(model.assumptions, model.assumed):
        return _runnable(model.message, assumptions, MAX_DEPTH)
    same = copy(model)
    same.assumptions = assumptions
    return same


def _runnable(message: Model, assumptions: PredictionAssumptions | None, depth: int) -> RunnableModel:
    _expect_axes(message)
    kind = message.WhichOneof("Type")
    if kind in NETWORK_KINDS:
        from coreml_updatable.runtime.network import NetworkModel

        return NetworkModel(message, assumptions)
    if kind == "kNearestNeighborsClassifier":
        from coreml_updatable.runtime.neighbors.classifier import NearestNeighborsModel

        return NearestNeighborsModel(message, assumptions)
    if kind in PIPELINE_KINDS and depth:
        members = [_member(member, assumptions, depth - 1) for member in pipeline_of(message).models]
        return PipelineModel(message, members, assumptions)
    if kind in STEP_KINDS:
        from coreml_updatable.runtime.step_model import StepModel

        return StepModel(message, assumptions)
    if kind == "mlProgram":
        raise ModelError(f"model: {NO_PROGRAMS}")
    if kind in PIPELINE_KINDS:
        raise ModelError(f"model: has more than {MAX_DEPTH} nested pipelines; build it flatter")
    raise ModelError(f"model: {why(message)}; run it on a device")


def _expect_axes(message: Model) -> None:
    """Raise ModelError for a feature with more axes than a NumPy array can have."""
    description = message.description
    for feature in (*description.input, *description.output, *description.trainingInput):
        array = feature.type.multiArrayType
        listed = [array.shape, array.shapeRange.sizeRanges, *(shape.shape for shape in array.enumeratedShapes.shapes)]
        most = max(len(shape) for shape in listed)
        if most > MAX_AXES:
            raise ModelError(
                f"model: feature '{feature.name}' has {most} axes, expected at most {MAX_AXES}; export the model again"
            )


def _member(message: Model, assumptions: PredictionAssumptions | None, depth: int) -> RunnableModel:
    if message.WhichOneof("Type") in RUNS:
        return _runnable(message, assumptions, depth)
    if message.WhichOneof("Type") is None:
        raise ModelError("model: a member of the pipeline contains no model; build it again")
    return AbsentModel(message)
