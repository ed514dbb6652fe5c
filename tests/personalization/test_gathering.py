"""What a report says of all owners."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from coreml_updatable.personalization.gathering import points_of, shots_to_enough
from coreml_updatable.personalization.measures import RESAMPLED


@pytest.mark.parametrize(
    ("right", "expected"),
    [((5, 9, 10), (3.0, 1.0)), ((5, 8, 9), (5.0, 1.0)), ((5, 8, 8), (None, 0.0)), ((9, 2, 9), (0.0, 1.0))],
)
def test_nine_right_of_ten_are_enough(right: tuple[int, ...], expected: tuple[float | None, float]) -> None:
    """In 32 bits, as owners' values are kept, 0.9 lies a little below 9 / 10."""
    shares = np.array(right, np.float32) / np.float32(10)
    gathered: Any = SimpleNamespace(
        lab=SimpleNamespace(points=[("at_once", 0), ("at_once", 3), ("at_once", 5)]),
        owners=2,
        values=lambda _entrant, index, _measure: np.full(2, shares[index]),
    )
    assert shots_to_enough(gathered, 0) == expected


def test_the_interval_of_an_accuracy_stays_within_0_and_100_percent() -> None:
    """Replicates are linear in the pictures' weights, so that they may leave the range of what they resample."""
    shares = np.array([0.9, 1.0, 1.0])
    gathered: Any = SimpleNamespace(
        lab=SimpleNamespace(points=[("at_once", 0)]),
        values=lambda _entrant, _number, measure: shares if measure in RESAMPLED else np.full(3, np.nan),
        replicates=lambda _entrant, _number: np.tile(np.linspace(-1.2, 1.2, 100), (len(RESAMPLED), 1)),
    )
    (point,) = points_of(gathered, 0)
    result = point.intervals
    assert {name: (item.low, item.high) for name, item in result.items()} == {
        "personal_accuracy": (0.0, 1.0),
        "base_accuracy": (0.0, 1.0),
        "forgetting": (-1.0, 1.0),
    }
