"""What a comparison found: plain numbers, their distributions and intervals, and the way to JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal

from coreml_updatable.errors import DataError, first_fault, wrong_schema

SCHEMA = 3  # 3: `kinds`, and `growth_bytes` as measured
ENOUGH = 0.9  # personal accuracy that an owner is content with


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
class Called:
    """How often rows get the right label, and the share of each label that they get ("new label": an owner's own)."""

    accuracy: float
    labels: Mapping[str, float]


@dataclass(frozen=True)
class OfKind:
    """The rows of a kind that are tested on, the base's or those held out of owners: before any update, and after the
    most shots in one. ``label``: the data's; an owner may call the kind otherwise."""

    kind: str
    tested: Literal["base", "owner"]
    label: str
    before: Called
    after: Called


@dataclass(frozen=True)
class Cost:
    """``operations``: of one row in the fixed part, ``head_operations``: in the head, multiply-adds of its weights.

    Bytes: that an update loads and writes, that the head takes while it is trained, and that the file grows by in an
    update with the most shots. ``update_ms``: that update on this machine, embeddings at hand."""

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
    kinds: tuple[OfKind, ...]
    cost: Cost | None

    def last(self, shots: int) -> Point:
        """At ``shots`` shots in one update."""
        return next(point for point in self.points if (point.protocol, point.shots) == ("at_once", shots))

    def of_owner(self) -> tuple[OfKind, ...]:
        """The kinds that owners are tested on."""
        return tuple(kind for kind in self.kinds if kind.tested == "owner")


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
class Comparison:
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

    @property
    def held_out_rows(self) -> int:
        """Distinct rows that owners are tested on."""
        return self.pictures - self.test_rows

    def as_json(self) -> dict[str, Any]:
        """As report.json holds it; its schema is docs/lab-report.schema.json."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    def entrant(self, name: str) -> EntrantResult:
        return next(entrant for entrant in self.entrants if entrant.name == name)


def read_comparison(value: Any, remedy: str = "run the comparison again") -> Comparison:
    """Return the result that ``as_json`` turned into ``value``; DataError if a field is missing or wrong."""
    from pydantic import ValidationError

    try:
        comparison: Comparison = _adapter().validate_python(value)
    except ValidationError as error:
        raise DataError(f"comparison: {first_fault(error)}; {remedy}") from None
    if comparison.schema != SCHEMA:
        raise DataError(f"comparison: {wrong_schema(comparison.schema, SCHEMA, remedy)}")
    return comparison


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Comparison)
