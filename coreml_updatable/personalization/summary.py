"""All seeds together: means, extremes and medians."""

import math
import statistics
from collections.abc import Sequence

from coreml_updatable.personalization.results import Measurement, SeedResult, Spread, Summary, SummaryPoint

LEARNT = 0.9  # of the held-out pictures right: what the owner would call learnt


def summarize(seeds: Sequence[SeedResult], label: str) -> Summary:
    """``label`` is the owner's."""
    before = _point([seed.before for seed in seeds], label)
    at_once = zip(*(seed.at_once for seed in seeds), strict=True)
    steps = zip(*(seed.one_by_one for seed in seeds), strict=True)
    return Summary(
        at_once=(before, *(_point(group, label) for group in at_once)),
        one_by_one=(
            before,
            *(
                _point([step.after for step in group], label, _mean([step.right_before_reveal for step in group]))
                for group in steps
            ),
        ),
        median_flip=median_photos([seed.flipped_after for seed in seeds]),
        median_learnt=median_photos(
            [learnt_after([seed.before, *(step.after for step in seed.one_by_one)]) for seed in seeds]
        ),
        median_learnt_at_once=median_photos([learnt_after([seed.before, *seed.at_once]) for seed in seeds]),
    )


def spread(values: Sequence[float]) -> Spread:
    return Spread(_mean(values), min(values), max(values))


def learnt_after(measurements: Sequence[Measurement]) -> int | None:
    """The first number of photos with at least 90% of the held-out pictures right; None: never."""
    return next((at.photos for at in measurements if at.held_out_accuracy >= LEARNT), None)


def median_photos(photos: Sequence[int | None]) -> float | None:
    """The median, where None (never) is more than any number; None if the median itself is never."""
    median = statistics.median(math.inf if count is None else count for count in photos)
    return None if math.isinf(median) else float(median)


def _point(group: Sequence[Measurement], label: str, right_before_reveal: float | None = None) -> SummaryPoint:
    answers = {answer for at in group for answer in at.held_out_answers}
    return SummaryPoint(
        photos=group[0].photos,
        held_out_accuracy=spread([at.held_out_accuracy for at in group]),
        held_out_answers={
            answer: _mean([at.held_out_answers.get(answer, 0.0) for at in group]) for answer in sorted(answers)
        },
        test_accuracy=spread([at.test_accuracy for at in group]),
        test_accuracy_by_kind={
            kind: spread([at.test_accuracy_by_kind[kind] for at in group]) for kind in group[0].test_accuracy_by_kind
        },
        forgotten=spread([at.forgotten for at in group]),
        first_confidence=spread([at.first_confidence for at in group]),
        first_flipped=_mean([at.first_label == label for at in group]),
        update_ms=spread([at.update_ms for at in group]),
        growth_bytes=spread([at.growth_bytes for at in group]),
        right_before_reveal=right_before_reveal,
    )


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)
