"""Forgetting below zero is told as a gain, not as a negative fall."""

import pytest

from coreml_updatable.personalization.conclusions import _change
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
