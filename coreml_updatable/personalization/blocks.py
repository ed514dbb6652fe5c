"""A block of owners: a pure function of the laboratory (models, embeddings, scenario) and of the owners' numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import Float32Array, Float64Array, Int64Array
from coreml_updatable.personalization.answers import Answers, Found, Revealed
from coreml_updatable.personalization.judging import Judge
from coreml_updatable.personalization.knns import Neighbors
from coreml_updatable.personalization.laboratory import Entrant, Lab, last_point
from coreml_updatable.personalization.measures import BASE, FORGETTING, MEASURES, RESAMPLED, REVEAL, WORST
from coreml_updatable.personalization.networks import Networks
from coreml_updatable.personalization.owners import Owners, draw
from coreml_updatable.personalization.tasks import by_tasks


@dataclass(frozen=True)
class BlockResult:
    """``values`` [entrants, points, measures, O]; ``sums`` [entrants, points, 3, B] and ``weights`` [B] of the
    bootstrap; ``sorts`` of the owners, ``shots`` [O, S]: rows in the order of learning, ``used``: rows that somebody is
    tested on. ``called`` [entrants, 2, kinds, 2, classes + 1]: before any update, and after the most shots in one, how
    often the base's test rows of each kind, and those held out of owners, are called each class; last, how often that
    is right."""

    first: int
    values: Float32Array
    sums: Float64Array
    weights: Float64Array
    sorts: tuple[str, ...]
    shots: Int64Array
    used: Int64Array
    called: Float64Array


def _pooled(parts: Sequence[BlockResult], lab: Lab) -> BlockResult:
    """The same owners with the models of each part. What concerns the base test set is weighted by the rows of each
    part; all else is the mean."""
    first, rows = parts[0], np.array([len(part.world.split.test) for part in lab.parts])
    shares = rows / rows.sum()
    of_base = [BASE, FORGETTING, WORST]
    values = np.mean([part.values for part in parts], axis=0)
    values[:, :, of_base] = np.einsum("p,p...->...", shares, np.stack([part.values[:, :, of_base] for part in parts]))
    sums = np.mean([part.sums for part in parts], axis=0)
    sums[:, :, 1:] = np.einsum("p,p...->...", shares, np.stack([part.sums[:, :, 1:] for part in parts]))
    used = np.unique(np.concatenate([part.used for part in parts]))
    called = np.sum([part.called for part in parts], axis=0)
    return replace(first, values=values.astype(np.float32), sums=sums, used=used, called=called)


def run_block(lab: Lab, first: int, count: int) -> BlockResult:
    """Train and measure ``count`` owners from number ``first`` on, for every entrant at every point."""
    if lab.parts:
        return _pooled([run_block(part, first, count) for part in lab.parts], lab)
    owners = draw(lab.world, first, count)
    judge = Judge(lab, owners)
    values = np.full((len(lab.entrants), len(lab.points), len(MEASURES), count), np.nan, np.float32)
    sums = np.zeros((len(lab.entrants), len(lab.points), len(RESAMPLED), lab.replicates))
    called = np.zeros((len(lab.entrants), 2, len(lab.world.kind_names), 2, len(lab.world.labels) + 3))
    block, ends = Block(lab, owners), (0, last_point(lab))
    for place, entrant in enumerate(lab.entrants):
        base: Answers | None = None
        measured: dict[int, tuple[Answers, Any]] = {}  # the same answers at several points are measured once
        for index, answers in block.answers(entrant):
            if isinstance(answers, Revealed):
                values[place, index, REVEAL], values[place, index, WORST] = answers.before, answers.worst
                continue
            base = answers if base is None else base
            if id(answers) not in measured:
                measured[id(answers)] = answers, judge.measured(answers, base)
            values[place, index, :WORST], sums[place, index] = measured[id(answers)][1]
            if index in ends:
                called[place, ends.index(index)] = judge.called(answers)
    used = np.unique(np.concatenate([owners.held_out[owners.held_out >= 0], lab.world.split.test]))
    shots = owners.shots[:, :: lab.world.rows_a_shot]
    return BlockResult(first, values, sums, judge.owner_weights.sum(axis=0), owners.sorts, shots, used, called)


class Block:
    """A block of owners and what is computed of it once for several entrants."""

    def __init__(self, lab: Lab, owners: Owners) -> None:
        self._lab, self._owners = lab, owners
        self._networks: dict[int, Networks] = {}

    def answers(self, entrant: Entrant) -> Iterator[Found]:
        """The answers of an entrant by the number of the point; the base comes first."""
        lab, one = self._lab, self._lab.contenders[entrant.of]
        if one.engine == "neighbors":
            result = Neighbors(lab, self._owners, entrant.of).learned()
        elif one.engine == "task":
            result = by_tasks(lab, self._owners, entrant.of)
        else:
            network = self._networks.setdefault(entrant.of, Networks(lab, self._owners, entrant.of))
            lines = {
                "class_means": network.class_means,
                "interpolated": network.interpolated,
                "retrained": network.retrained,
            }
            result = lines.get(entrant.line, network.learned)()
        if entrant.line == "base":
            _, base = next(result)
            result = ((index, base) for index in range(len(lab.points)))
        yield from result
