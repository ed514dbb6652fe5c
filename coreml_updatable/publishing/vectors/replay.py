"""Vectors replayed on a model, as a test on a device would do it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from coreml_updatable.publishing.vectors.differences import difference
from coreml_updatable.publishing.vectors.document import Row, Vectors
from coreml_updatable.publishing.vectors.values import answer, row_values
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import Model
from coreml_updatable.updating import UpdateTask
from coreml_updatable.updating.probes.outcomes import assuming


@dataclass(frozen=True)
class Stage:
    """The answers before, or after the update: the largest difference, what is allowed, and the rows beyond it."""

    name: str
    rows: int
    largest: float
    allowed: float
    faults: tuple[str, ...]


def replay(vectors: Vectors, folder: Path, model: Model) -> tuple[Stage, ...]:
    """Put the rows to ``model``, update it as the vectors say, and put them to it again; PNGs lie in ``folder``."""
    runnable = load(model, assumptions=assuming(vectors.assumptions))
    rows = [row_values(row, folder) for row in vectors.rows]
    before = [answer(one) for one in runnable.predict(rows)]
    stages = [_stage("before", vectors.before, before, vectors.tolerances.before)]
    if vectors.update is not None:
        training = [row_values(row, folder) for row in vectors.update.rows]
        learnt = UpdateTask(runnable, training, vectors.update.parameters).resume().model
        after = [answer(one) for one in learnt.predict(rows)]
        stages.append(_stage("after", vectors.update.after, after, vectors.tolerances.after))
    return tuple(stages)


def is_of(vectors: Vectors, content: bytes) -> bool:
    """Whether the vectors were made with this very file."""
    return hashlib.sha256(content).hexdigest() == vectors.sha256


def _stage(name: str, expected: tuple[Row, ...], given: list[Row], allowed: float) -> Stage:
    found = [difference(one, other) for one, other in zip(expected, given, strict=True)]
    faults = tuple(
        f"{name}: row {number}: {given[number]} instead of {expected[number]}, off by {off:.2g} ({allowed:g} allowed)"
        for number, off in enumerate(found)
        if off > allowed
    )
    return Stage(name, len(found), max(found, default=0.0), allowed, faults)
