"""Comparisons on the folds of a cross-validation, pooled: every test row counts once, judged by who never saw it."""

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from coreml_updatable.data.inputs import Int64Array
from coreml_updatable.personalization.compare import advise
from coreml_updatable.personalization.results import (
    Answer,
    Comparison,
    Measurement,
    NewLabel,
    NewLabelPoint,
    Outcome,
    Reset,
    SeedResult,
    Shot,
    Shown,
    summarize,
)
from coreml_updatable.personalization.scenario import Scenario


def pooled(parts: Sequence[Comparison], scenarios: Sequence[Scenario], rows: Sequence[Int64Array]) -> Comparison:
    """One comparison of all ``parts``, each on its own scenario; ``rows`` are the places of its test rows in the whole.

    All have the same owner's rows, shots and seeds. What concerns test rows is weighted by how many a part has; what
    concerns the owner is the mean over the parts. The answers shown for the owner's rows are those of the first.
    """
    first = parts[0]
    network, knn = (_outcome([getattr(part, name) for part in parts], scenarios, rows) for name in ("network", "knn"))
    words = scenarios[0].words
    return replace(
        first,
        test_rows=sum(part.test_rows for part in parts),
        test_kinds=dict(sorted(pair for part in parts for pair in part.test_kinds.items())),
        network=network,
        knn=knn,
        advice=advise(first.kinds, first.shots[-1], network, knn, words),
    )


def _outcome(ones: Sequence[Outcome], scenarios: Sequence[Scenario], rows: Sequence[Int64Array]) -> Outcome:
    first = ones[0]
    seeds = tuple(_seed(group, scenarios) for group in zip(*(one.seeds for one in ones), strict=True))
    resets = [one.reset for one in ones]
    return replace(
        first,
        seeds=seeds,
        summary=summarize(seeds),
        shown=_shown([one.shown for one in ones], rows),
        reset=Reset(
            rows=resets[0].rows,
            bytes_equal=all(one.bytes_equal for one in resets),
            labels_equal=all(one.labels_equal for one in resets),
            max_probability_difference=max(one.max_probability_difference for one in resets),
        ),
        new_label=_new_label([one.new_label for one in ones], [len(scenario.test_rows) for scenario in scenarios]),
    )


def _seed(group: Sequence[SeedResult], scenarios: Sequence[Scenario]) -> SeedResult:
    first, scenario = group[0], scenarios[0]
    before = _measurement([one.before for one in group], scenarios)
    at_once = tuple(_measurement(ones, scenarios) for ones in zip(*(one.at_once for one in group), strict=True))
    steps = tuple(_step(ones, scenarios) for ones in zip(*(one.one_by_one for one in group), strict=True))
    wanted = scenario.kinds[scenario.owner_kinds[first.order[0]]]
    flips = [one.shots for one in (before, *(step.after for step in steps)) if one.first_label == wanted]
    return SeedResult(first.seed, first.order, before, at_once, steps, min(flips, default=None))


def _step(ones: Sequence[Shot], scenarios: Sequence[Scenario]) -> Shot:
    return Shot(
        ones[0].row,
        statistics.fmean(one.right_before_reveal for one in ones) > 0.5,
        statistics.fmean(one.confidence_before_reveal for one in ones),
        _measurement([one.after for one in ones], scenarios),
    )


def _measurement(ones: Sequence[Measurement], scenarios: Sequence[Scenario]) -> Measurement:
    counts = [len(scenario.test_rows) for scenario in scenarios]
    kinds = [Counter(scenario.test_kinds) for scenario in scenarios]
    equal = [1] * len(ones)

    def over(field: str, weights: Sequence[int]) -> float:
        return _mean([getattr(one, field) for one in ones], weights)

    def by_key(field: str, weights: Callable[[str], Sequence[int]]) -> Mapping[str, float]:
        keys = sorted({key for one in ones for key in getattr(one, field)})
        return {key: _mean([getattr(one, field).get(key, 0.0) for one in ones], weights(key)) for key in keys}

    return Measurement(
        shots=ones[0].shots,
        held_out_accuracy=over("held_out_accuracy", equal),
        held_out_accuracy_by_kind=by_key("held_out_accuracy_by_kind", lambda _: equal),
        held_out_answers=by_key("held_out_answers", lambda _: equal),
        test_accuracy=over("test_accuracy", counts),
        test_accuracy_by_kind=by_key("test_accuracy_by_kind", lambda kind: [one[kind] for one in kinds]),
        forgotten=over("forgotten", counts),
        called_owners=over("called_owners", counts),
        first_label=Counter(one.first_label for one in ones).most_common(1)[0][0],
        first_confidence=over("first_confidence", equal),
        update_ms=over("update_ms", equal),
        growth_bytes=round(over("growth_bytes", equal)),
    )


def _new_label(ones: Sequence[NewLabel | None], counts: Sequence[int]) -> NewLabel | None:
    found = [one for one in ones if one is not None]
    refused = next((one for one in found if one.refusal is not None), None)
    if not found or refused is not None:
        return refused
    points = tuple(
        NewLabelPoint(
            group[0].shots,
            statistics.fmean(one.held_out_accuracy for one in group),
            _mean([one.test_accuracy for one in group], counts),
            _mean([one.called_owners for one in group], counts),
            statistics.fmean(one.growth_bytes for one in group),
        )
        for group in zip(*(one.points for one in found), strict=True)
    )
    return NewLabel(found[0].label, None, points)


def _shown(ones: Sequence[Shown], rows: Sequence[Int64Array]) -> Shown:
    def whole(field: str) -> tuple[Answer, ...]:
        answers = {
            int(row): answer
            for one, own in zip(ones, rows, strict=True)
            for row, answer in zip(own, getattr(one, field), strict=True)
        }
        return tuple(answers[row] for row in sorted(answers))

    return replace(ones[0], test_before=whole("test_before"), test_after=whole("test_after"))


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    return float(np.average(values, weights=weights)) if sum(weights) else 0.0
