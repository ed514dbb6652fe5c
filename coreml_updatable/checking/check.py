"""Check a model and its members against the rules that apply to them."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from coreml_updatable.checking import rules
from coreml_updatable.checking.contradictions import UNSEEN, hides_updates
from coreml_updatable.checking.pipeline import member_place
from coreml_updatable.checking.problem import Problem, Rule
from coreml_updatable.errors import ModelError, UserError
from coreml_updatable.spec.io import read_any_model
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import is_network, is_pipeline, pipeline_of


def check(path_or_model: str | PathLike[str] | Model) -> list[Problem]:
    """Return every broken rule of an .mlmodel file or ``Model`` message; empty if it is ready for a device.

    An error is something that Apple's compiler rejects. If it only warns about shapes and then skips the rules for
    updates, problems that those rules find are warnings with a note.
    Any Core ML model can be checked; raises ModelError only for a file that does not contain one.
    """
    if isinstance(path_or_model, str | PathLike):
        return check(read_any_model(Path(path_or_model)))
    problems: list[Problem] = []
    waiting = [("", path_or_model)]
    while waiting:  # members after the pipeline that holds them, and each before the next
        inside, model = waiting.pop()
        problems += _problems(model, inside)
        members = pipeline_of(model).models if is_pipeline(model) else []
        waiting += [
            (f"{inside}{member_place(model, index)}: ", member) for index, member in reversed(list(enumerate(members)))
        ]
    return problems


def expect_valid(model: Model, what: str, error: type[UserError] = ModelError) -> list[Problem]:
    """Return the warnings; raise ``error``, beginning with ``what``, for the first problem that Apple rejects."""
    problems = check(model)
    for problem in problems:
        if problem.severity == "error":
            raise error(f"{what}: {problem}")
    return problems


def _problems(model: Model, inside: str) -> Iterator[Problem]:
    """Yield the problems of ``model`` itself; ``inside`` names the pipelines that contain it."""
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


def applying(model: Model) -> Iterator[Rule]:
    """Yield the rules for a model of this type; those for updates only if it is updatable."""
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
    else:
        yield from rules.OTHER
