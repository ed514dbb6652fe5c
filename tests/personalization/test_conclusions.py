"""What the three sentences say follows from the figures."""

import pytest

from coreml_updatable.personalization.conclusions import _change, _compared, _signed
from coreml_updatable.personalization.results import Difference, Interval


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (Interval(0.008, -0.005, 0.026), "falls by 0.8 points (-0.5 to 2.6)"),
        (Interval(-0.008, -0.026, 0.005), "rises by 0.8 points (-0.5 to 2.6)"),
        (Interval(0.0, 0.0, 0.0), "falls by 0.0 points (0.0 to 0.0)"),
    ],
)
def test_how_base_accuracy_changes(lost: Interval, told: str) -> None:
    assert _change(lost) == told


def test_what_rounds_to_zero_has_no_minus() -> None:
    assert [_signed(share) for share in (-0.0004, 0.0, -0.015, 0.016)] == ["+0.0", "+0.0", "-1.5", "+1.6"]


@pytest.mark.parametrize(("low", "sure"), [(-0.02, False), (0.002, True)])
def test_a_trade_is_significant_only_if_what_is_ranked_is(low: float, sure: bool) -> None:
    """Personal accuracy is surely lower and forgetting surely less: neither says which contender is better."""
    apart = Difference("a", "b", 20, Interval(-0.026, -0.044, -0.006), Interval(-0.031, -0.062, -0.003))
    said = _compared("a", apart, Interval(0.005, low, 0.03), "paired by owner")
    assert ("not significant" not in said) == sure
