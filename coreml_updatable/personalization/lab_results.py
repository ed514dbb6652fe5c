"""What a comparison over many owners found: plain numbers, their distributions and intervals, and the way to JSON."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.errors import BuildError, DataError
from coreml_updatable.personalization.blocks import (
    BASE,
    FORGETTING,
    MEASURES,
    PERSONAL,
    RESAMPLED,
    BlockResult,
    Entrant,
    Lab,
)
from coreml_updatable.personalization.measures import Bools
from coreml_updatable.personalization.population import CHANGES

SCHEMA = 2  # 2: `learned`, and intervals that know of the pictures that are learned from
SPILL = 1 << 28  # bytes of owners' measures that stay in memory
OWNERS_AT_ONCE = 1 << 17
ENOUGH = 0.9  # personal accuracy that an owner is content with
WORST_SHOWN = 8


@dataclass(frozen=True)
class Interval:
    """A mean over the owners, and its 95% bootstrap interval over pictures first and owners within them."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Distribution:
    """Over the owners of whom the measure exists. ``p5`` to ``p95``: percentiles."""

    owners: int
    mean: float
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


@dataclass(frozen=True)
class Point:
    """An entrant after ``shots`` shots of each kind by one protocol; ``harmed``: share of owners worse off than with
    the base."""

    protocol: str
    shots: int
    measures: Mapping[str, Distribution]
    intervals: Mapping[str, Interval]
    harmed: float


@dataclass(frozen=True)
class OfSort:
    """The owners of one sort, at the most shots in one update."""

    sort: str
    owners: int
    personal_accuracy: float
    forgetting: float
    harmed: float


@dataclass(frozen=True)
class Cost:
    """``operations``: of one row in the fixed part, ``head_operations``: in the head, multiply-adds of its weights.
    Bytes: that an update loads and writes, that the head takes while it is trained, and that the file
    grows by a shot. ``update_ms``: an update with the most shots on this machine, embeddings at hand."""

    operations: int | None
    head_operations: int
    file_bytes: int
    head_bytes: int | None
    growth_bytes: int
    update_ms: float | None
    embedding_ms: float


@dataclass(frozen=True)
class EntrantResult:
    """``shots_to_enough``: the median, None where the median owner never gets there; ``reached``: the share who do."""

    name: str
    engine: str
    line: str
    points: tuple[Point, ...]
    shots_to_enough: float | None
    reached: float
    sorts: tuple[OfSort, ...]
    cost: Cost | None


@dataclass(frozen=True)
class Difference:
    """How much higher ``other`` is than ``one``, paired by owner, at the most shots in one update."""

    one: str
    other: str
    shots: int
    personal_accuracy: Interval
    forgetting: Interval


@dataclass(frozen=True)
class WorstOwner:
    """An owner with whom an entrant gains least; ``rows``: numbers of some of his held-out rows, with their names."""

    entrant: str
    number: int
    sort: str
    kinds: tuple[str, ...]
    personal_accuracy: float
    before: float
    rows: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class LabResult:
    """``pictures``: distinct rows that somebody is tested on, ``test_rows`` of them the base's, ``unknown_rows`` of no
    label; ``learned``: distinct rows that somebody learns from; ``conclusions``: which, how sure, for whom not."""

    schema: int
    owners: int
    seed: int
    shots: tuple[int, ...]
    labels: tuple[str, ...]
    kinds_per_owner: int
    rows: int
    pictures: int
    learned: int
    test_rows: int
    unknown_rows: int
    reference_rows: int
    entrants: tuple[EntrantResult, ...]
    differences: tuple[Difference, ...]
    worst: tuple[WorstOwner, ...]
    conclusions: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """As report.json holds it; its schema is docs/lab-report.schema.json."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    def entrant(self, name: str) -> EntrantResult:
        return next(one for one in self.entrants if one.name == name)


def read_result(value: Any) -> LabResult:
    """Return the result that ``as_json`` wrote; DataError for anything else."""
    from pydantic import ValidationError

    try:
        result: LabResult = _adapter().validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the report"
        raise DataError(f"report: {where}: {first['msg']}; run the comparison again") from None
    return result


def json_schema() -> dict[str, Any]:
    """The JSON schema of report.json."""
    schema: dict[str, Any] = _adapter().json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(LabResult)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


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
        found = np.zeros(len(self.used), bool)
        for start in range(0, len(self._shots), OWNERS_AT_ONCE):
            part = self._shots[start : start + OWNERS_AT_ONCE]
            found[part[part >= 0]] = True
        return found

    def values(self, entrant: int, point: int, measure: int) -> Float64Array:
        """[O] of all owners, in the order of their numbers."""
        return np.asarray(self._values[entrant, point, measure][self._present], np.float64)

    def replicates(self, entrant: int, point: int) -> Float64Array:
        """[3, B]: means of the bootstrap replicates of personal accuracy, base accuracy and forgetting."""
        found = self._tested(entrant, point)
        for place, measure in enumerate(RESAMPLED):
            found[place] += self._taught(self.values(entrant, point, measure), entrant, point)
        return found

    def apart(self, one: int, other: int, point: int, before: int | None = None) -> Float64Array:
        """[3, B]: the same of the differences ``other`` less ``one``, paired by owner; ``before``: the point of
        ``one``, if it is another."""
        at = point if before is None else before
        found = self._tested(other, point) - self._tested(one, at)
        for place, measure in enumerate(RESAMPLED):
            values = self.values(other, point, measure) - self.values(one, at, measure)
            found[place] += self._taught(values, other if self._learns(other) else one, point)
        return found

    def _tested(self, entrant: int, point: int) -> Float64Array:
        """[3, B]: the replicates of who is tested on what."""
        for first in sorted(self._waiting):  # of a run that was cut short
            self._fold(self._waiting.pop(first))
        return np.asarray(self._sums[entrant, point] / np.maximum(self._weights, 1e-12), np.float64)

    def _learns(self, entrant: int) -> bool:
        return self.lab.entrants[entrant].line != "base"

    def _taught(self, values: Float64Array, entrant: int, point: int) -> Float64Array:
        """[B]: how the pictures that are learned from move the mean of ``values`` [O]; see ``taught``."""
        count = self.lab.points[point][1] * self.lab.world.population.kinds_per_owner
        if not count or not self._learns(entrant):
            return np.zeros(self.lab.replicates)
        return taught(values, self._shots, self._present, count, self.lab)


def taught(values: Float64Array, shots: Any, present: Bools, count: int, lab: Lab) -> Float64Array:
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
    made = []
    base = gathered.values(entrant, 0, PERSONAL)
    for number, (protocol, shots) in enumerate(gathered.lab.points):
        personal = gathered.values(entrant, number, PERSONAL)
        found = {
            name: distribution(values)
            for measure, name in enumerate(MEASURES)
            if np.isfinite(values := gathered.values(entrant, number, measure)).any()
        }
        if not found:
            continue
        intervals = {}
        if np.isfinite(personal).any():
            replicates = gathered.replicates(entrant, number)
            for place, measure in enumerate(RESAMPLED):
                if MEASURES[measure] in found:
                    intervals[MEASURES[measure]] = interval(found[MEASURES[measure]].mean, replicates[place])
        made.append(Point(protocol, shots, found, intervals, float(np.mean(personal < base - 1e-9))))
    return tuple(made)


def distribution(values: Float64Array) -> Distribution:
    kept = values[np.isfinite(values)]
    return Distribution(len(kept), float(kept.mean()), *(float(p) for p in np.percentile(kept, [5, 25, 50, 75, 95])))


def interval(mean: float, replicates: Float64Array) -> Interval:
    """The percentile interval of the bootstrap (Efron and Tibshirani 1993, chapter 13)."""
    low, high = np.percentile(replicates, [2.5, 97.5])
    return Interval(mean, float(min(low, mean)), float(max(high, mean)))


def difference(gathered: Gathered, one: int, other: int) -> Difference:
    lab = gathered.lab
    point = last_point(lab)
    apart = gathered.apart(one, other, point)

    def between(measure: int) -> Interval:
        values = gathered.values(other, point, measure) - gathered.values(one, point, measure)
        return interval(float(np.nanmean(values)), apart[RESAMPLED.index(measure)])

    names = lab.entrants[one].name, lab.entrants[other].name
    return Difference(*names, lab.points[point][1], between(PERSONAL), between(FORGETTING))


def last_point(lab: Lab) -> int:
    """The most shots in one update."""
    return max(number for number, (protocol, _) in enumerate(lab.points) if protocol == "at_once")


def shots_to_enough(gathered: Gathered, entrant: int) -> tuple[float | None, float]:
    """The median number of shots of each kind, in one update, until personal accuracy is 90%, and who get there."""
    lab = gathered.lab
    needed = np.full(gathered.owners, np.inf)
    for number in reversed([number for number, (protocol, _) in enumerate(lab.points) if protocol == "at_once"]):
        values = gathered.values(entrant, number, PERSONAL)
        needed = np.where(values >= ENOUGH, lab.points[number][1], needed)
    median = float(np.median(needed))
    return (median if np.isfinite(median) else None), float(np.isfinite(needed).mean())


def sorts_at_end(gathered: Gathered, entrant: int) -> tuple[OfSort, ...]:
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


def conclusions(gathered: Gathered, results: Sequence[EntrantResult]) -> tuple[str, ...]:
    """Three sentences: which contender, how sure that is, and for whom it is not."""
    lab = gathered.lab
    point = last_point(lab)
    shots = lab.points[point][1]
    learning = [number for number, entrant in enumerate(lab.entrants) if not entrant.is_reference]
    merit = {
        number: float(np.nanmean(gathered.values(number, point, PERSONAL)))
        - max(0.0, float(np.nanmean(gathered.values(number, point, FORGETTING))))
        for number in learning
    }
    best, *others = sorted(learning, key=lambda number: -merit[number])
    found = next(one for one in results[best].points if (one.protocol, one.shots) == lab.points[point])
    personal, lost = found.intervals["personal_accuracy"], found.intervals["forgetting"]
    first = (
        f"{lab.entrants[best].name} serves these owners best: after one update with {shots} shots of each kind its "
        f"mean personal accuracy is {100 * personal.mean:.1f}% ({100 * personal.low:.1f} to {100 * personal.high:.1f}) "
        f"and its base accuracy falls by {100 * lost.mean:.1f} points ({100 * lost.low:.1f} to {100 * lost.high:.1f})."
    )
    return (first, _certainty(gathered, best, others), _for_whom_not(lab.entrants[best], found, results[best]))


def _certainty(gathered: Gathered, best: int, others: Sequence[int]) -> str:
    if not others:
        gain = gathered.apart(best, best, last_point(gathered.lab), before=0)[0]
        low, high = np.percentile(100 * gain, [2.5, 97.5])
        sure = "surely more than" if low > 0 else "not surely more than"
        return f"That is {sure} the base without learning: {low:+.1f} to {high:+.1f} points of personal accuracy."
    apart = difference(gathered, others[0], best)
    gain, lost = apart.personal_accuracy, apart.forgetting
    name = gathered.lab.entrants[others[0]].name
    sure = (
        "The two differ surely"
        if not (gain.low <= 0 <= gain.high and lost.low <= 0 <= lost.high)
        else ("The data cannot tell the two apart")
    )
    return (
        f"{sure}: against {name} it is {100 * gain.mean:+.1f} points of personal accuracy ({100 * gain.low:+.1f} to "
        f"{100 * gain.high:+.1f}) and {100 * lost.mean:+.1f} points of forgetting ({100 * lost.low:+.1f} to "
        f"{100 * lost.high:+.1f}), paired by owner, 95% intervals."
    )


def _for_whom_not(entrant: Entrant, found: Point, result: EntrantResult) -> str:
    spread = found.measures["personal_accuracy"]
    told = (
        f"{100 * found.harmed:.1f}% of the owners are worse off with {entrant.name} than with the base, and one in "
        f"twenty stays at a personal accuracy of {100 * spread.p5:.0f}% or less"
    )
    if len(result.sorts) > 1:
        worst = min(result.sorts, key=lambda one: one.personal_accuracy)
        told += f"; it suits owners of the sort {worst.sort} least ({100 * worst.personal_accuracy:.1f}%)"
    return told + "."


def base_interval(gathered: Gathered, entrant: int) -> Interval:
    """The base's own accuracy."""
    return interval(float(np.nanmean(gathered.values(entrant, 0, BASE))), gathered.replicates(entrant, 0)[1])
