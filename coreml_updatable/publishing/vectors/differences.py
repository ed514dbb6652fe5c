"""How far an answer is from the one that was expected."""

import math
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


def _distance(expected: Value, given: Value) -> float:
    match expected, given:
        case dict(), dict():
            if set(expected) != set(given):
                return math.inf
            return max((abs(share - given[label]) for label, share in expected.items()), default=0.0)
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
