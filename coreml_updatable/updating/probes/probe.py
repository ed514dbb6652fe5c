"""A probe: a model, an update of it, and the numbers to read afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from typing import Literal, TypeAlias

from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of

Row: TypeAlias = dict[str, list[float]]  # multi-arrays by feature name
EQUAL = 1e-3  # losses nearer than this are of the same rows


@dataclass(frozen=True)
class Reading:
    """The numbers to record after a probe.

    ``what``: "output", the values of the multi-array ``name``; "label", the predicted label, written as a number;
    "probabilities", those of the listed labels; "count", the number of labels with a probability; "mini-batch losses"
    and "epoch losses", each lossValue of miniBatchEnd or epochEnd, in order.
    """

    what: Literal["output", "label", "probabilities", "count", "mini-batch losses", "epoch losses"]
    name: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Probe:
    """A probe that settles ``assumption``; ``given``: other assumptions that change its numbers, settled before.

    ``rows``: what to train on in an update; empty if the model only predicts. The parameters are the model's defaults;
    ``then``: those to set at the end of an epoch. ``updates``: how many updates to run, each from the original model;
    losses are those of all updates. ``query``: the row to predict with the updated model.

    ``digest``: what is compared: the numbers themselves; the second divided by the first; or 1 and 0 for yes and no: do
    they rise, does their second half equal the first, does it in any order?
    """

    assumption: str
    says: str  # in one sentence, how the choices come to differ
    model: Model
    read: Reading
    rows: tuple[Row, ...] = ()
    updates: int = 1
    then: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    query: Row | None = None
    given: tuple[str, ...] = ()
    digest: Literal["numbers", "second / first", "rising", "halves alike", "halves alike in any order"] = "numbers"
    decisive: bool = True  # every possible device makes one of the choices


def _mini_batches(probe: Probe) -> int:
    """Of all updates of a network's probe together, where every mini-batch is full."""
    update = network_of(probe.model).updateParams
    size = int(update.optimizer.sgdOptimizer.miniBatchSize.defaultValue)
    return probe.updates * int(update.epochs.defaultValue) * (len(probe.rows) // size)


def digested(probe: Probe, numbers: list[float]) -> list[float]:
    """The numbers that are compared; where they cannot be digested, themselves, which then fit nothing."""
    finite = all(isfinite(number) for number in numbers)
    if probe.digest == "rising" and finite and len(numbers) == len(probe.rows):
        return [float(all(early < late for early, late in pairwise(numbers)))]
    if probe.digest.startswith("halves alike") and finite and len(numbers) == _mini_batches(probe):
        halves = [numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]]
        if probe.digest == "halves alike in any order":
            halves = [sorted(half) for half in halves]
        return [float(all(abs(one - other) <= EQUAL for one, other in zip(*halves, strict=True)))]
    if probe.digest == "second / first" and len(numbers) == 2:
        return [numbers[1] / numbers[0] if numbers[0] else float("inf")]
    return numbers
