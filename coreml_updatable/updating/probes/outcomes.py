"""Compute the expected result of a probe for each choice, with the simulator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from coreml_updatable.runtime import load
from coreml_updatable.runtime.assumptions import choices_of
from coreml_updatable.updating.assumptions import Assumptions
from coreml_updatable.updating.probes.probe import Probe, digested
from coreml_updatable.updating.task import UpdateContext, UpdateTask


def run(probe: Probe, assumptions: Assumptions) -> list[float]:
    """Return the result of the probe under these assumptions."""
    model = load(probe.model, assumptions=assumptions)
    losses: dict[str, list[float]] = {"mini-batch losses": [], "epoch losses": []}

    def on_event(context: UpdateContext) -> None:
        if context.event == "miniBatchEnd":
            losses["mini-batch losses"].append(context.metrics["lossValue"])
        if context.event == "epochEnd":
            losses["epoch losses"].append(context.metrics["lossValue"])
            following = probe.then.get(int(context.metrics["epochIndex"]))
            if following:
                context.task.resume(following)

    if probe.rows:
        rows = [{name: np.array(values, np.float32) for name, values in row.items()} for row in probe.rows]
        before = model
        for _ in range(probe.updates):
            model = UpdateTask(before, rows, on_event=on_event).resume().model
    if probe.read.what in losses:
        return losses[probe.read.what]
    assert probe.query is not None
    answer = model.predict({name: np.array(values, np.float32) for name, values in probe.query.items()})
    return _read(probe, answer[probe.read.name])


def _read(probe: Probe, value: Any) -> list[float]:
    match probe.read.what:
        case "label":
            return [float(value)]
        case "count":
            return [float(len(value))]
        case "probabilities":
            return [float(value.get(label, 0.0)) for label in probe.read.labels]
    return [float(number) for number in np.ravel(value)]


SAME = 1e-4  # values this near come from equal formulas, differently rounded
TIGHT = 0.02  # far more than half precision loses; a formula unknown here should fit none


@dataclass(frozen=True)
class Expectation:
    """``choices``: of the probe's assumption and of each it depends on. ``values``: digested, to compare."""

    choices: dict[str, str]
    values: list[float]


def choices() -> Mapping[str, tuple[str, ...]]:
    """Return the choices of every assumption; the default comes first."""
    return choices_of(Assumptions)


def assuming(chosen: Mapping[str, str]) -> Assumptions:
    """Return these choices, with the defaults for all others; UserError for an unknown choice."""
    given: Any = dict(chosen)
    return Assumptions(**given)


def outcomes(probe: Probe) -> list[Expectation]:
    """Return an expectation for each choice of the assumption, combined with the choices that it depends on."""
    names = (*probe.given, probe.assumption)
    known = choices()
    result = []
    for combination in product(*(known[name] for name in names)):
        chosen = dict(zip(names, combination, strict=True))
        result.append(Expectation(chosen, digested(probe, run(probe, assuming(chosen)))))
    return result


def distance(item: Sequence[float], other: Sequence[float]) -> float:
    """Return the largest difference; infinite if the lengths differ or a value is not a number."""
    if len(item) != len(other):
        return float("inf")
    differences = [abs(left - right) for left, right in zip(item, other, strict=True)]
    largest = max(differences, default=0.0)
    return largest if all(difference == difference for difference in differences) else float("inf")


def tolerance(result: Sequence[Expectation]) -> float:
    """Return how close a result must be: a quarter of the least distance between different outcomes, within a limit."""
    gaps = [distance(item.values, other.values) for item in result for other in result]
    return min(TIGHT, min(gap for gap in gaps if gap > SAME) / 4)
