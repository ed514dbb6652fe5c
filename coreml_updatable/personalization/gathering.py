"""The blocks of a comparison put together: measures of every owner, their intervals, and what is read off them."""

import os
import tempfile
from dataclasses import replace
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.errors import BuildError
from coreml_updatable.personalization.blocks import BlockResult
from coreml_updatable.personalization.laboratory import Lab, last_point
from coreml_updatable.personalization.measures import FORGETTING, MEASURES, PERSONAL, RESAMPLED, Bools
from coreml_updatable.personalization.population import CHANGES
from coreml_updatable.personalization.results import (
    ENOUGH,
    Called,
    Difference,
    Distribution,
    Interval,
    OfKind,
    OfSort,
    Point,
)

ROUNDING = 1e-6  # of a share, which is kept in single precision
SPILL = 1 << 28  # bytes of owners' measures that stay in memory
OWNERS_AT_ONCE = 1 << 17


class Gathered:
    """The blocks of a comparison, put together as they come, in memory that does not grow with their number.

    What a report needs of each owner (its measures, its shots) is kept in files without a name, from SPILL bytes on.
    """

    def __init__(self, lab: Lab, owners: int) -> None:
        self.lab = lab
        self.firsts: set[int] = set()
        shape = len(lab.entrants), len(lab.points), len(MEASURES), owners
        self._values = _array(shape, np.float32, np.nan)
        self._shots = _array((owners, lab.world.shots * lab.world.population.kinds_per_owner), np.int32, -1)
        self._sorts = np.full(owners, -1, np.int8)
        self._present = np.zeros(owners, bool)
        self.used = np.zeros(len(lab.world.kinds), bool)
        self._sums = np.zeros((*shape[:2], len(RESAMPLED), lab.replicates))
        self._weights = np.zeros(lab.replicates)
        self._called = np.zeros((len(lab.entrants), 2, len(lab.world.kind_names), 2, len(lab.world.labels) + 3))
        self._waiting: dict[int, BlockResult] = {}
        self._next = 0

    def add(self, block: BlockResult) -> None:
        """Take a block; blocks are added up in the order of their owners, however they come."""
        part = slice(block.first, block.first + len(block.sorts))
        self._values[..., part] = block.values
        self._shots[part, : block.shots.shape[1]] = block.shots
        self._sorts[part] = [CHANGES.index(sort) for sort in block.sorts]
        self._present[part] = True
        self.used[block.used] = True
        self.firsts.add(block.first)
        self._waiting[block.first] = replace(block, values=block.values[:0], shots=block.shots[:0])
        while self._next in self._waiting:
            following = self._waiting.pop(self._next)
            self._fold(following)
            self._next += len(following.sorts)

    def _fold(self, block: BlockResult) -> None:
        self._sums += block.sums
        self._weights += block.weights
        self._called += block.called

    @property
    def owners(self) -> int:
        return int(self._present.sum())

    @property
    def sorts(self) -> list[str]:
        """Of each owner, in the order of their numbers."""
        return [CHANGES[sort] for sort in self._sorts[self._present].tolist()]

    @property
    def learned(self) -> Bools:
        """[n]: the rows that some owner learns from."""
        result = np.zeros(len(self.used), bool)
        for start in range(0, len(self._shots), OWNERS_AT_ONCE):
            part = self._shots[start : start + OWNERS_AT_ONCE]
            result[part[part >= 0]] = True
        return result

    def values(self, entrant: int, point: int, measure: int) -> Float64Array:
        """[O] of all owners, in the order of their numbers."""
        return np.asarray(self._values[entrant, point, measure][self._present], np.float64)

    def replicates(self, entrant: int, point: int) -> Float64Array:
        """[3, B]: means of the bootstrap replicates of personal accuracy, base accuracy and forgetting."""
        result = self._tested(entrant, point)
        for place, measure in enumerate(RESAMPLED):
            result[place] += self._training_effect(self.values(entrant, point, measure), entrant, point)
        return result

    def apart(self, item: int, other: int, point: int, before: int | None = None) -> Float64Array:
        """[3, B]: the same of the differences ``other`` less ``one``, paired by owner; ``before``: the point of
        ``one``, if it is another."""
        at = point if before is None else before
        result = self._tested(other, point) - self._tested(item, at)
        for place, measure in enumerate(RESAMPLED):
            values = self.values(other, point, measure) - self.values(item, at, measure)
            result[place] += self._training_effect(values, other if self._learns(other) else item, point)
        return result

    def _tested(self, entrant: int, point: int) -> Float64Array:
        """[3, B]: the replicates of who is tested on what."""
        for first in sorted(self._waiting):  # of a run that was cut short
            self._fold(self._waiting.pop(first))
        with np.errstate(invalid="ignore"):  # a replicate without owners says nothing
            return np.asarray(self._sums[entrant, point] / self._weights, np.float64)

    def kinds(self, entrant: int) -> tuple[OfKind, ...]:
        """What the rows of every kind are called."""
        world, result = self.lab.world, []
        names = (*world.labels, "new label", "other")

        def called(counts: Any) -> Called:
            total = max(1.0, float(counts[:-1].sum()))
            shares = zip(names, counts[:-1].tolist(), strict=True)
            return Called(float(counts[-1]) / total, {name: count / total for name, count in shares if count})

        for place, kind in enumerate(world.kind_names):
            for of in (0, 1):
                before, after = self._called[entrant, :, place, of]
                if before[:-1].any():
                    tested: Any = ("base", "owner")[of]
                    result.append(OfKind(kind, tested, world.label_of[kind], called(before), called(after)))
        return tuple(result)

    def _learns(self, entrant: int) -> bool:
        return self.lab.entrants[entrant].line != "base"

    def _training_effect(self, values: Float64Array, entrant: int, point: int) -> Float64Array:
        """[B]: how the pictures that are learned from move the mean of ``values`` [O]; see ``training_effect``."""
        count = self.lab.points[point][1] * self.lab.world.population.kinds_per_owner
        if not count or not self._learns(entrant):
            return np.zeros(self.lab.replicates)
        return training_effect(values, self._shots, self._present, count, self.lab)


def training_effect(values: Float64Array, shots: Any, present: Bools, count: int, lab: Lab) -> Float64Array:
    """[B]: the change of the mean of ``values`` [O] in each replicate for the first ``count`` of the ``shots`` [O', S].

    The infinitesimal jackknife of an average over random subsets (Efron 2014; Wager, Hastie and Efron 2014; of subsets
    without replacement, Wager and Athey 2018): a picture counts with the covariance of "this owner learned from it" and
    the owner's value, less what so few owners show without any effect.
    """
    kept = np.isfinite(values)
    number, n = int(kept.sum()), len(lab.world.kinds)
    often, sums, squares = np.zeros(n), np.zeros(n), np.zeros(n)
    places = np.flatnonzero(present)
    for start in range(0, len(places), OWNERS_AT_ONCE):
        part = slice(start, start + OWNERS_AT_ONCE)
        rows = np.asarray(shots[places[part]])[kept[part], :count]
        own = np.repeat(values[part][kept[part]], rows.shape[1])
        often += np.bincount(rows.ravel(), minlength=n)
        sums += np.bincount(rows.ravel(), own, minlength=n)
        squares += np.bincount(rows.ravel(), own**2, minlength=n)
    effect, noise = np.zeros(n), np.zeros(n)
    each = count / lab.world.population.kinds_per_owner
    for pool in lab.world.split.owners.values():
        if each < len(pool) and often[pool].any():
            mean, factor = sums[pool].sum() / often[pool].sum(), len(pool) / (len(pool) - each) / number
            effect[pool] = factor * (sums[pool] - mean * often[pool])
            noise[pool] = factor**2 * (squares[pool] - 2 * mean * sums[pool] + mean**2 * often[pool])
    spread = float((effect**2).sum())
    true = np.sqrt(max(0.0, spread - float(noise.sum())) / spread) if spread > 0 else 0.0
    return np.asarray(true * ((lab.picture_weights - 1) @ effect), np.float64)


def _array(shape: tuple[int, ...], dtype: Any, empty: float) -> Any:
    """An array of ``empty``; a large one lies in a temporary file that is gone with it."""
    size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    if size <= SPILL:
        return np.full(shape, empty, dtype)
    try:
        with tempfile.TemporaryFile(prefix="coreml_updatable.") as file:
            if hasattr(os, "posix_fallocate"):  # else the file grows as it is written
                os.posix_fallocate(file.fileno(), 0, size)
            file.truncate(size)
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError as error:
        raise BuildError(
            f"compare: {size:,} bytes of measures do not fit into {tempfile.gettempdir()} ({error.strerror}); free "
            "some space, set TMPDIR, or measure fewer owners or shots"
        ) from None


def points_of(gathered: Gathered, entrant: int) -> tuple[Point, ...]:
    """Every point at which the entrant was measured."""
    result = []
    base = gathered.values(entrant, 0, PERSONAL)
    for index, (protocol, shots) in enumerate(gathered.lab.points):
        personal = gathered.values(entrant, index, PERSONAL)
        output = {
            name: distribution(values)
            for measure, name in enumerate(MEASURES)
            if np.isfinite(values := gathered.values(entrant, index, measure)).any()
        }
        if not output:
            continue
        intervals = {}
        if np.isfinite(personal).any():
            replicates = gathered.replicates(entrant, index)
            for place, measure in enumerate(RESAMPLED):
                name = MEASURES[measure]
                if name in output:
                    low = -1.0 if measure == FORGETTING else 0.0  # what linear replicates may leave
                    intervals[name] = interval(output[name].mean, replicates[place].clip(low, 1.0))
        result.append(Point(protocol, shots, output, intervals, float(np.mean(personal < base - 1e-9))))
    return tuple(result)


def distribution(values: Float64Array) -> Distribution:
    kept = values[np.isfinite(values)]
    return Distribution(len(kept), float(kept.mean()), *(float(p) for p in np.percentile(kept, [5, 25, 50, 75, 95])))


def interval(mean: float, replicates: Float64Array) -> Interval:
    """The percentile interval of the bootstrap (Efron and Tibshirani 1993, chapter 13)."""
    low, high = np.nanpercentile(replicates, [2.5, 97.5])
    return Interval(mean, float(min(low, mean)), float(max(high, mean)))


def difference(gathered: Gathered, item: int, other: int) -> Difference:
    lab = gathered.lab
    point = last_point(lab)
    apart = gathered.apart(item, other, point)

    def between(measure: int) -> Interval:
        values = gathered.values(other, point, measure) - gathered.values(item, point, measure)
        return interval(float(np.nanmean(values)), apart[RESAMPLED.index(measure)])

    names = lab.entrants[item].name, lab.entrants[other].name
    return Difference(*names, lab.points[point][1], between(PERSONAL), between(FORGETTING))


def shots_to_enough(gathered: Gathered, entrant: int) -> tuple[float | None, float]:
    """The median number of shots of each kind, in one update, until personal accuracy is 90%, and who get there."""
    lab = gathered.lab
    needed = np.full(gathered.owners, np.inf)
    for number in reversed([index for index, (protocol, _) in enumerate(lab.points) if protocol == "at_once"]):
        values = gathered.values(entrant, number, PERSONAL)
        needed = np.where(values >= ENOUGH - ROUNDING, lab.points[number][1], needed)
    median = float(np.median(needed))
    return (median if np.isfinite(median) else None), float(np.isfinite(needed).mean())


def by_owner_type(gathered: Gathered, entrant: int) -> tuple[OfSort, ...]:
    point = last_point(gathered.lab)
    sorts = np.array(gathered.sorts)
    personal, before = gathered.values(entrant, point, PERSONAL), gathered.values(entrant, 0, PERSONAL)
    lost = gathered.values(entrant, point, FORGETTING)
    return tuple(
        OfSort(
            str(sort),
            int((sorts == sort).sum()),
            float(personal[sorts == sort].mean()),
            float(np.nanmean(lost[sorts == sort])) if np.isfinite(lost[sorts == sort]).any() else 0.0,
            float((personal < before - 1e-9)[sorts == sort].mean()),
        )
        for sort in sorted(set(sorts.tolist()))
    )
