"""What a row should give: from its target feature to a class number or to values."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import DataError, ModelError, a_kind, quoted


def target(row: Mapping[str, Any], name: str, number: int) -> Any:
    if name not in row:
        raise DataError(f"row {number}: feature '{name}' is missing, which says what to learn; add it to the row")
    return row[name]


def class_number(value: Any, labels: Sequence[str] | Sequence[int], name: str, number: int) -> int:
    """The index of a label among the network's."""
    try:
        return list(labels).index(value)
    except ValueError:
        known = ", ".join(quoted(label) for label in labels[:8]) + (", ..." if len(labels) > 8 else "")
        raise ModelError(
            f"row {number}: '{name}' is {quoted(value)}, the network knows {known}; it can not learn another label, "
            "a k-NN classifier can"
        ) from None


def class_index(value: Any, classes: int, name: str, number: int) -> int:
    """A class given as a number, in an array of one element."""
    try:
        given = float(np.asarray(value, np.float64).reshape(()))
    except (TypeError, ValueError, OverflowError):
        given = math.nan
    if isinstance(value, str) or not given.is_integer():
        raise DataError(f"row {number}: '{name}' is {quoted(value)}, expected one whole number, the class")
    index = int(given)
    if not 0 <= index < classes:
        raise ModelError(f"row {number}: '{name}' is {index}, the network has the classes 0 to {classes - 1}")
    return index


def values(value: Any, size: int, name: str, number: int) -> NDArray[np.float32]:
    """The wanted output [size] for a squared error."""
    try:
        with np.errstate(over="ignore"):
            array = np.asarray(value, np.float32).ravel()
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"row {number}: '{name}' is {a_kind(value)}, expected {size} numbers") from None
    if len(array) != size:
        raise DataError(f"row {number}: '{name}' has {len(array)} values, the network gives {size}; reshape it")
    if not np.isfinite(array).all():
        raise DataError(f"row {number}: '{name}' is not finite; leave the row out")
    return array
