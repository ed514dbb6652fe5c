"""What a report says of all owners."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from coreml_updatable.personalization.gathering import shots_to_enough


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
        values=lambda _entrant, number, _measure: np.full(2, shares[number]),
    )
    assert shots_to_enough(gathered, 0) == expected
