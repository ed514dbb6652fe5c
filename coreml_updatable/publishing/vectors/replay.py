"""Vectors replayed on a model, as a test on a device would do it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coreml_updatable.publishing.vectors.differences import difference, losses_off
from coreml_updatable.publishing.vectors.document import Exercise, Losses, Outcome, Row, Vectors
from coreml_updatable.publishing.vectors.values import answer, fitted_as, row_values
from coreml_updatable.runtime import RunnableModel, load
from coreml_updatable.runtime.neighbors.classifier import NearestNeighborsModel
from coreml_updatable.runtime.pipeline import PipelineModel
from coreml_updatable.spec.messages import Model
from coreml_updatable.updating import Assumptions, UpdateTask
from coreml_updatable.updating.probes.outcomes import assuming
from coreml_updatable.updating.task import UpdateContext

LOSS_EVENTS = ("miniBatchEnd", "epochEnd")


@dataclass(frozen=True)
class Stage:
    """One exercise: the largest difference of an answer, what is allowed, and what is beyond it.

    ``outcome``: the choices of the outcome that fits best, other than the document's own.
    """

    name: str
    rows: int
    largest: float
    allowed: float
    faults: tuple[str, ...]
    outcome: Mapping[str, str] = field(default_factory=dict)


def replay(vectors: Vectors, folder: Path, model: Model, assumptions: Assumptions | None = None) -> tuple[Stage, ...]:
    """Run each exercise on ``model``; the pictures lie in ``folder``.

    ``assumptions``: those of the device that is simulated; by default, those that the vectors were made under.
    """
    runnable = load(model, assumptions=assumptions or assuming(vectors.assumptions))
    crop = fitted_as(model)
    stages = []
    for exercise in vectors.exercises:
        rows = [row_values(row, folder, crop) for row in exercise.asked]
        current, losses = runnable, None
        if exercise.update is not None:
            training = [row_values(row, folder, crop) for row in exercise.update.rows]
            current, losses = updated(runnable, training, exercise.update.parameters)
        answers = [answer(item) for item in current.predict(rows)]
        stages.append(closest_stage(exercise, answers, losses, vectors.loss_tolerance))
    return tuple(stages)


def updated(
    model: RunnableModel, rows: Sequence[Any], parameters: Mapping[str, bool | int | float]
) -> tuple[RunnableModel, Losses | None]:
    """Return the model after one update, and the lossValue of every event; None for a k-NN."""
    losses: dict[str, list[float]] = {event: [] for event in LOSS_EVENTS}

    def on_event(context: UpdateContext) -> None:
        if context.event in losses:
            losses[context.event].append(float(context.metrics["lossValue"]))

    learned = UpdateTask(model, rows, parameters, on_event=on_event).resume().model
    kept = {event: tuple(round(value, 6) for value in values) for event, values in losses.items()}
    return learned, None if remembers(model) else kept


def remembers(model: RunnableModel) -> bool:
    """Return whether the part that learns is a k-NN."""
    while isinstance(model, PipelineModel):
        model = model.members[-1]
    return isinstance(model, NearestNeighborsModel)


def closest_stage(exercise: Exercise, answers: Sequence[Row], losses: Losses | None, loss_tolerance: float) -> Stage:
    """Compare with each outcome, and tell of the one that fits best."""
    stages = [_stage(exercise, outcome, answers, losses, loss_tolerance) for outcome in exercise.outcomes]
    return min(stages, key=lambda stage: (bool(stage.faults), stage.largest, len(stage.faults)))


def _stage(
    exercise: Exercise, outcome: Outcome, answers: Sequence[Row], losses: Losses | None, loss_tolerance: float
) -> Stage:
    name, allowed = exercise.name, exercise.tolerance
    result = [difference(item, other) for item, other in zip(outcome.answers, answers, strict=True)]
    faults = [
        f"{name}: row {index}: {answers[index]} instead of {outcome.answers[index]}, off by {off:.2g} ({allowed:g} "
        "allowed)"
        for index, off in enumerate(result)
        if not off <= allowed
    ]
    if outcome.losses is not None and losses is not None:
        faults += _loss_faults(exercise, outcome.losses, losses, loss_tolerance)
    return Stage(name, len(result), max(result, default=0.0), allowed, tuple(faults), outcome.assumptions)


def _loss_faults(exercise: Exercise, expected: Losses, losses: Losses, tolerance: float) -> list[str]:
    faults = []
    for event, values in expected.items():
        given = losses.get(event, ())
        if len(given) != len(values):
            faults.append(f"{exercise.name}: {event} came {len(given)} times, {len(values)} expected")
            continue
        offs = losses_off(values, given, tolerance, exercise.change_tolerance)
        position = max(range(len(offs)), key=lambda index: offs[index], default=None)
        if position is not None and not offs[position] <= 1:
            faults.append(
                f"{exercise.name}: {event} {position + 1} of {len(values)}: lossValue {given[position]:.4g} instead of "
                f"{values[position]:.4g}, {offs[position]:.2g} times what is allowed"
            )
    return faults


def is_of(vectors: Vectors, content: bytes) -> bool:
    """Whether the vectors were made with this very file."""
    return hashlib.sha256(content).hexdigest() == vectors.sha256
