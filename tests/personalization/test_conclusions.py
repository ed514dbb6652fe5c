"""Forgetting below zero is told as a gain, not as a negative fall."""

import pytest

from coreml_updatable.personalization.conclusions import _change, _signed
from coreml_updatable.personalization.results import Interval


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
