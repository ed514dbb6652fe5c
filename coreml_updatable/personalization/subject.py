"""One model in the experiment: its base, the scenario's pictures after its frozen layers, and how it learns."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from coreml_updatable.personalization.scenario import Parameters, Row, Scenario
from coreml_updatable.runtime import FrozenRow, RunnableModel
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.updating import UpdateTask


@dataclass(frozen=True)
class Subject:
    """``owner``, ``held_out`` and ``test`` are the scenario's rows in their order, after the frozen layers."""

    model: RunnableModel
    scenario: Scenario
    parameters: Parameters
    file: bytes  # of the base model
    owner: tuple[FrozenRow, ...]
    held_out: tuple[FrozenRow, ...]
    test: tuple[FrozenRow, ...]
    extractor_ms: float  # a picture
    paired: tuple[FrozenRow, ...] = ()  # the scenario's, with their labels


@dataclass(frozen=True)
class Learnt:
    """What an update task left behind."""

    model: RunnableModel
    update_ms: float
    growth_bytes: int  # against the base's file


def prepare(model: RunnableModel, scenario: Scenario, parameters: Parameters) -> Subject:
    groups = (scenario.owner_rows, scenario.held_out_rows, scenario.test_rows)
    started = time.perf_counter()
    owner, held_out, test = (_frozen(model, rows) for rows in groups)
    elapsed_ms = (time.perf_counter() - started) * 1000
    return Subject(
        model=model,
        scenario=scenario,
        parameters=parameters,
        file=model_bytes(model.message),
        owner=owner,
        held_out=held_out,
        test=test,
        extractor_ms=elapsed_ms / sum(map(len, groups)),
        paired=_frozen(model, scenario.paired),
    )


def _frozen(model: RunnableModel, rows: Sequence[Row]) -> tuple[FrozenRow, ...]:
    return tuple(model.frozen(rows))


def learn(subject: Subject, model: RunnableModel, photos: Sequence[int], label: str, learnt_before: int = 0) -> Learnt:
    """One MLUpdateTask on ``model`` with the owner's pictures of these indices, all called ``label``, each followed by
    the next of the paired rows, which start over when all had their turn; ``learnt_before`` photos had theirs already.

    The time is that of the task alone: the extractor's outputs are at hand. UserError if the model cannot learn it.
    """
    target = str(model.message.description.predictedFeatureName)
    rows = []
    for turn, photo in enumerate(photos, start=learnt_before):
        rows.append(subject.owner[photo].with_features(**{target: label}))
        rows += [subject.paired[turn % len(subject.paired)]] if subject.paired else []
    started = time.perf_counter()
    context = UpdateTask(model, rows, parameters=dict(subject.parameters)).resume()
    elapsed_ms = (time.perf_counter() - started) * 1000
    return Learnt(context.model, elapsed_ms, context.model.message.ByteSize() - len(subject.file))
