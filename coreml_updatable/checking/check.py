"""Putting a model before the rules that apply to it, its members included."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from coreml_updatable.checking import rules
from coreml_updatable.checking.contradictions import UNSEEN, hides_updates
from coreml_updatable.checking.pipeline import member_place
from coreml_updatable.checking.problem import Problem, Rule
from coreml_updatable.errors import ModelError
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import NO_PROGRAMS, is_network, is_pipeline, pipeline_of
from coreml_updatable.spec.reading import read_model

_DEEPEST = 16  # pipelines in pipelines; protobuf itself refuses to read much deeper


def check(path_or_model: str | PathLike[str] | Model) -> list[Problem]:
    """Every broken rule of an .mlmodel file or ``Model`` message; empty when it is fit for a device.

    An error is what Apple's compiler rejects. Where it warns of shapes and then skips the rules of updating, so that it
    accepts the model, what they find is a warning with a note.
    Raises ModelError for a file that is no Core ML model, for an ML program (its operations are not judged here), and
    for pipelines nested more than 16 deep.
    """
    if isinstance(path_or_model, str | PathLike):
        model = read_model(Path(path_or_model))
        if model.WhichOneof("Type") == "mlProgram" and not model.isUpdatable:
            raise ModelError(f"{path_or_model}: {NO_PROGRAMS}")
        return check(model)
    return list(_problems(path_or_model, "", 0))


def _problems(model: Model, inside: str, depth: int) -> Iterator[Problem]:
    unseen = is_network(model) and model.isUpdatable and hides_updates(model)
    for rule in applying(model):
        skipped = unseen and rule.severity == "error" and rule in rules.UPDATABLE_NETWORK
        for finding in rule.find(model):
            yield Problem(
                rule.id,
                "warning" if skipped else rule.severity,
                inside + finding.where,
                finding.found,
                finding.expected,
                finding.remedy or rule.remedy,
                rule.thread,
                UNSEEN if skipped else None,
            )
    if is_pipeline(model) and pipeline_of(model).models and depth == _DEEPEST:
        raise ModelError(
            f"model: holds pipelines nested more than {_DEEPEST} deep, expected fewer; what lies deeper can not be "
            "judged, take the inner pipelines out"
        )
    if is_pipeline(model):
        for number, member in enumerate(pipeline_of(model).models):
            yield from _problems(member, f"{inside}{member_place(model, number)}: ", depth + 1)


def applying(model: Model) -> Iterator[Rule]:
    """The rules that hold for a model of this kind; those of updating only where it is updatable."""
    kind = model.WhichOneof("Type")
    yield from rules.MODEL
    if is_network(model):
        yield from rules.NETWORK
        if kind == "neuralNetworkClassifier":
            yield from rules.CLASSIFIER
        if kind == "neuralNetworkRegressor":
            yield from rules.REGRESSOR
        if model.isUpdatable:
            yield from rules.UPDATABLE_NETWORK
    elif kind == "kNearestNeighborsClassifier":
        yield from rules.NEAREST_NEIGHBORS
    elif is_pipeline(model):
        yield from rules.PIPELINE
