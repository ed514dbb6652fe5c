"""How far an answer is from the one that was expected."""

import math
from collections.abc import Sequence
from typing import Any

from coreml_updatable.publishing.vectors.document import Array, Row, Value


def difference(expected: Row, given: Row) -> float:
    """The largest difference of any number; infinite where a feature, a label or a shape differs.

    A label may be another one where the expected probabilities of both are equally near as the probabilities differ:
    that difference is what is answered.
    """
    if set(expected) != set(given):
        return math.inf
    names = [name for name in expected if not isinstance(expected[name], str)]
    largest = max((_distance(expected[name], given[name]) for name in names), default=0.0)
    for name in set(expected) - set(names):
        if expected[name] != given[name]:
            largest = max(largest, _margin(expected, expected[name], given[name]))
    return largest


NO_CHANGE = 1e-3  # of a loss: less is rounding


def losses_off(expected: Sequence[float], given: Sequence[float], level: float, change: float | None) -> list[float]:
    """How far each of equally many losses is off, in tolerances (``Vectors.loss_tolerance``, ``change_tolerance``)."""
    pairs = list(zip(expected, given, strict=True))
    offs = [abs(one - other) / (level * max(1.0, abs(one))) for one, other in pairs]
    if change is None or not pairs:
        return offs
    (first, first_given), largest = pairs[0], max(abs(item - expected[0]) for item in expected)
    allowed = change * max(largest, NO_CHANGE)
    changes = [abs((one - first) - (other - first_given)) / allowed for one, other in pairs]
    return [max(both) for both in zip(offs, changes, strict=True)]


def _distance(expected: Value, given: Value) -> float:
    match expected, given:
        case dict(), dict():
            if set(expected) != set(given):
                return math.inf
            return max((_relative(share, given[label]) for label, share in expected.items()), default=0.0)
        case Array(), Array():
            if expected.shape != given.shape:
                return math.inf
            pairs = zip(expected.values, given.values, strict=True)
            return max((_relative(one, other) for one, other in pairs), default=0.0)
        case ((int() | float()), (int() | float())):
            return _relative(expected, given)
    return math.inf


def _relative(expected: float, given: float) -> float:
    return abs(expected - given) / max(1.0, abs(expected))


def _margin(expected: Row, label: Any, other: Any) -> float:
    """How much likelier ``label`` was expected to be than ``other``; infinite where no probabilities tell."""
    for value in expected.values():
        if isinstance(value, dict) and label in value and other in value:
            return value[label] - value[other]
    return math.inf
