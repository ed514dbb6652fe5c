"""Means, extremes and medians against numpy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreml_updatable.personalization.results import (
    Measurement,
    SeedResult,
    Shot,
    enough_after,
    median_shots,
    spread,
    summarize,
)

SHARES = st.floats(0, 1)


def measurement(photos: int, learnt: float) -> Measurement:
    label = "low" if learnt > 0.5 else "high"
    answers = {"low": learnt} if learnt == 1 else {"low": learnt, "high": 1 - learnt}
    by_kind, base = {"9": learnt}, {"7": learnt}
    return Measurement(
        photos, learnt, by_kind, answers, 1 - learnt / 9, base, learnt / 9, learnt / 8, label, 1 - learnt, 2.0, 8
    )


@st.composite
def seed_results(draw: st.DrawFn) -> list[SeedResult]:
    seeds = []
    for seed in range(draw(st.integers(1, 5))):
        learnt = draw(st.lists(SHARES, min_size=4, max_size=4))
        steps = tuple(Shot(n, share > 0.5, share, measurement(n + 1, share)) for n, share in enumerate(learnt[1:]))
        at_once = (measurement(1, learnt[1]), measurement(3, learnt[3]))
        flip = next((n for n, share in enumerate(learnt) if share > 0.5), None)
        seeds.append(SeedResult(seed, (0, 1, 2), measurement(0, learnt[0]), at_once, steps, flip))
    return seeds


@given(seed_results())
def test_points_are_numpys_statistics(seeds: list[SeedResult]) -> None:
    summary = summarize(seeds)
    assert [point.shots for point in summary.at_once] == [0, 1, 3]
    assert [point.shots for point in summary.one_by_one] == [0, 1, 2, 3]
    for place, point in enumerate(summary.one_by_one[1:]):
        learnt = np.array([seed.one_by_one[place].after.held_out_accuracy for seed in seeds])
        np.testing.assert_allclose(point.held_out_accuracy.mean, learnt.mean(), atol=1e-12)
        assert (point.held_out_accuracy.minimum, point.held_out_accuracy.maximum) == (learnt.min(), learnt.max())
        np.testing.assert_allclose(point.called_owners.mean, learnt.mean() / 8, atol=1e-12)
        assert point.held_out_accuracy_by_kind == {"9": point.held_out_accuracy}
        assert point.right_before_reveal == pytest.approx(np.mean(learnt > 0.5))
        np.testing.assert_allclose(sum(point.held_out_answers.values()), 1, atol=1e-12)
        np.testing.assert_allclose(point.held_out_answers["low"], learnt.mean(), atol=1e-12)


@given(st.lists(st.one_of(st.none(), st.integers(0, 20)), min_size=1, max_size=9))
def test_never_is_more_than_any_number(photos: list[int | None]) -> None:
    expected = np.median([np.inf if count is None else count for count in photos])
    found = median_shots(photos)
    assert found == (None if np.isinf(expected) else expected)


@given(st.lists(SHARES, min_size=1, max_size=8))
def test_learnt_is_the_first_at_ninety_percent(shares: list[float]) -> None:
    found = enough_after([measurement(photos, share) for photos, share in enumerate(shares)])
    enough = np.flatnonzero(np.array(shares) >= 0.9)
    assert found == (int(enough[0]) if enough.size else None)


@given(st.lists(SHARES, min_size=1, max_size=8))
def test_spread(values: list[float]) -> None:
    found = spread(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.minimum, found.maximum) == (min(values), max(values))
