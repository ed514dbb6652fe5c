"""What a comparison found: frozen dataclasses of plain numbers, their statistics over the seeds, and the way to JSON.

Shares and confidences run from 0 to 1, times are milliseconds, sizes bytes. The two ways an app may train on n shots:

``at_once``     one MLUpdateTask with n shots of each kind, on the base model: an app that keeps its owner's data.
``one_by_one``  MLUpdateTasks of one shot, each on the model the one before wrote: an app with a "Retrain" button.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from coreml_updatable.errors import DataError

Way = Literal["at_once", "one_by_one"]
ENOUGH = 0.9  # personal accuracy that an owner is content with


@dataclass(frozen=True)
class Answer:
    """What a model says of a row: its label, and the probability it gives that label."""

    label: str
    confidence: float


@dataclass(frozen=True)
class Measurement:
    """A model after an update with ``shots`` shots (0: the base model): at once of each kind, one by one of all."""

    shots: int
    held_out_accuracy: float  # personal accuracy: on rows of the owner's kinds never trained on, by the owner's labels
    held_out_accuracy_by_kind: Mapping[str, float]
    held_out_answers: Mapping[str, float]  # label -> share of those rows that get it
    test_accuracy: float  # base accuracy: on the base's test rows, by the base's labels
    test_accuracy_by_kind: Mapping[str, float]
    forgotten: float  # share of the test rows that the base had right and this model does not
    called_owners: float  # share of the test rows that wrongly get a label of the owner's
    first_label: str  # what it calls the owner's first row
    first_confidence: float  # the probability it gives that row's answer *of the base*
    update_ms: float  # of the last task, the extractor's outputs being at hand; 0 for the base
    growth_bytes: int  # of the file, against the base's


@dataclass(frozen=True)
class Shot:
    """One shot, trained on by itself: predict first, then reveal the label, then train."""

    row: int  # index among the owner's rows
    right_before_reveal: bool  # whether the model said the owner's label before it was told
    confidence_before_reveal: float  # the probability it gave the owner's label then
    after: Measurement


@dataclass(frozen=True)
class SeedResult:
    """One order of the owner's rows."""

    seed: int
    order: tuple[int, ...]  # indices of the owner's rows
    before: Measurement
    at_once: tuple[Measurement, ...]  # one for each of the scenario's numbers of shots
    one_by_one: tuple[Shot, ...]  # one for each shot
    flipped_after: int | None  # shots, one by one, until the first row got the owner's label; None: never


@dataclass(frozen=True)
class Reset:
    """The base model after all updates: is it still what it was?"""

    rows: int
    bytes_equal: bool  # the base's file, before and after all updates
    labels_equal: bool  # of the base, loaded again from its bytes and asked again
    max_probability_difference: float


@dataclass(frozen=True)
class NewLabelPoint:
    """A model after an update with ``shots`` shots of each kind under a label it did not know: means over the seeds."""

    shots: int
    held_out_accuracy: float  # share of held-out rows that get the new label
    test_accuracy: float
    called_owners: float  # share of the base's test rows that wrongly get the new label
    growth_bytes: float


@dataclass(frozen=True)
class NewLabel:
    """Another label on the fly. ``refusal`` is the runtime's own sentence where a model cannot learn it."""

    label: str
    refusal: str | None
    points: tuple[NewLabelPoint, ...]


@dataclass(frozen=True)
class Spread:
    """Over the seeds."""

    mean: float
    minimum: float
    maximum: float


@dataclass(frozen=True)
class SummaryPoint:
    """All seeds, after ``shots`` shots."""

    shots: int
    held_out_accuracy: Spread
    held_out_accuracy_by_kind: Mapping[str, Spread]
    held_out_answers: Mapping[str, float]  # means
    test_accuracy: Spread
    test_accuracy_by_kind: Mapping[str, Spread]
    forgotten: Spread
    called_owners: Spread
    first_confidence: Spread
    update_ms: Spread
    growth_bytes: Spread
    right_before_reveal: float | None  # share of the seeds; only one by one, from the first shot on


@dataclass(frozen=True)
class Statistics:
    """Both ways, from the base (0 shots) on. Medians over the seeds; None where the median seed never got there."""

    at_once: tuple[SummaryPoint, ...]
    one_by_one: tuple[SummaryPoint, ...]
    median_flip: float | None  # shots, one by one, until the first row got the owner's label
    shots_needed: float | None  # one by one, until personal accuracy was enough
    shots_needed_at_once: float | None  # the same for one task with all shots, among the numbers tried


@dataclass(frozen=True)
class Shown:
    """Answers to single rows, for a page to show: before, and after all shots of the first seed at once."""

    held_out_before: tuple[Answer, ...]
    held_out_after: tuple[Answer, ...]
    test_before: tuple[Answer, ...]
    test_after: tuple[Answer, ...]


@dataclass(frozen=True)
class Outcome:
    """Everything about one model."""

    seeds: tuple[SeedResult, ...]
    summary: Statistics
    shown: Shown
    reset: Reset
    new_label: NewLabel | None
    extractor_ms: float  # a row, through the fixed layers
    file_bytes: int  # of the base model
    engine: str = ""  # that ran the fixed layers


@dataclass(frozen=True)
class Comparison:
    """The network and its k-NN with the same owner."""

    kinds: Mapping[str, str]  # of the owner's, each with its label
    shots: tuple[int, ...]  # of each kind
    seeds: tuple[int, ...]
    owner_rows: int
    held_out_rows: int
    test_rows: int
    test_kinds: Mapping[str, str]  # kind of the base's -> its label
    network_parameters: Mapping[str, float]  # those given; empty = the model's defaults
    knn_parameters: Mapping[str, float]
    network: Outcome
    knn: Outcome
    advice: str

    def outcomes(self) -> tuple[tuple[str, Outcome], ...]:
        """Both variants by name."""
        return ("network", self.network), ("k-NN", self.knn)


def read_comparison(value: Any) -> Comparison:
    """Return the comparison that ``dataclasses.asdict`` turned into ``value``, after a passage through JSON or not.

    Raises DataError if a field is missing or wrong.
    """
    from pydantic import ValidationError

    try:
        comparison: Comparison = _adapter().validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the comparison"
        raise DataError(f"comparison: {where}: {first['msg']}; run the comparison again") from error
    return comparison


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Comparison)


def summarize(seeds: Sequence[SeedResult]) -> Statistics:
    """Return means, extremes and medians over all seeds."""
    before = _point([seed.before for seed in seeds])
    at_once = zip(*(seed.at_once for seed in seeds), strict=True)
    steps = zip(*(seed.one_by_one for seed in seeds), strict=True)
    singly = [
        _point([step.after for step in group], statistics.fmean(step.right_before_reveal for step in group))
        for group in steps
    ]
    return Statistics(
        at_once=(before, *map(_point, at_once)),
        one_by_one=(before, *singly),
        median_flip=median_shots([seed.flipped_after for seed in seeds]),
        shots_needed=median_shots(
            [enough_after([seed.before, *(step.after for step in seed.one_by_one)]) for seed in seeds]
        ),
        shots_needed_at_once=median_shots([enough_after([seed.before, *seed.at_once]) for seed in seeds]),
    )


def enough_after(measurements: Sequence[Measurement]) -> int | None:
    """The first number of shots with which personal accuracy is enough; None: never."""
    return next((one.shots for one in measurements if one.held_out_accuracy >= ENOUGH), None)


def median_shots(shots: Sequence[int | None]) -> float | None:
    """The median, where None (never) is more than any number; None if the median itself is never."""
    median = statistics.median(math.inf if count is None else count for count in shots)
    return None if math.isinf(median) else float(median)


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.fmean(values), min(values), max(values))


def _point(group: Sequence[Measurement], right_before_reveal: float | None = None) -> SummaryPoint:
    def over(field: str) -> Spread:
        return spread([getattr(one, field) for one in group])

    def by_key(field: str) -> dict[str, Spread]:
        keys = sorted({key for one in group for key in getattr(one, field)})
        return {key: spread([getattr(one, field).get(key, 0.0) for one in group]) for key in keys}

    return SummaryPoint(
        shots=group[0].shots,
        held_out_accuracy=over("held_out_accuracy"),
        held_out_accuracy_by_kind=by_key("held_out_accuracy_by_kind"),
        held_out_answers={label: share.mean for label, share in by_key("held_out_answers").items()},
        test_accuracy=over("test_accuracy"),
        test_accuracy_by_kind=by_key("test_accuracy_by_kind"),
        forgotten=over("forgotten"),
        called_owners=over("called_owners"),
        first_confidence=over("first_confidence"),
        update_ms=over("update_ms"),
        growth_bytes=over("growth_bytes"),
        right_before_reveal=right_before_reveal,
    )
