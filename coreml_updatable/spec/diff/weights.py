"""Compare two ``WeightParams`` messages: equal or not, and by how much they differ.

The same numbers may be stored in 32 or 16 bits, or quantized. Where one message holds exactly what rounding the other
to its storage gives (to the nearest 16-bit float, step or table entry), the weights were stored otherwise, not changed.
"""

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.spec.diff.layers import WeightChange
from coreml_updatable.spec.messages import WeightParams, copy_of
from coreml_updatable.spec.weights import Numbers, numbers_in, rounded

_AT_ONCE = 1 << 20  # numbers compared at a time, so that a large file needs little memory


@np.errstate(invalid="ignore", over="ignore")  # a signalling NaN, or a float beyond 16 bits, is no news to the reader
def weight_change(field: str, before: WeightParams, after: WeightParams, lead: int = 1) -> WeightChange | None:
    """None when both hold the same numbers in the same storage (being marked updatable is a setting, not a value).

    ``lead`` is 1, but for deconvolutions: their kernel channels, which stand before the output channels.
    """
    if _content(before) == _content(after):
        return None
    most = min(numbers_in(weights, lead=lead).count for weights in (before, after))
    old, new = (numbers_in(weights, most=most, lead=lead) for weights in (before, after))
    names = (old.storage, new.storage)
    if old.values is None or new.values is None:
        return WeightChange(field, "unreadable", *names, old.count)
    count = _common_count(old, new)
    if count is None:
        return WeightChange(field, "count", *names, new.count)
    left, right = old.values[:count], new.values[:count]
    if np.array_equal(left, right, equal_nan=True):
        if old.storage != new.storage or old.grid is not None:
            return WeightChange(field, "stored", *names, count, 0.0, 0.0, 0.0)
        return WeightChange(field, "fields", *names, count) if _rest(before) != _rest(after) else None
    kind = "rounded" if old.storage != new.storage and _is_rounding(old, new, count) else "changed"
    norm, relative, largest, not_finite = _norms(left, right)
    return WeightChange(field, kind, *names, count, norm, relative, largest, not_finite)


def _content(weights: WeightParams) -> bytes:
    return _without(weights, "isUpdatable")


def _rest(weights: WeightParams) -> bytes:
    return _without(weights, "isUpdatable", "floatValue", "float16Value")


def _without(weights: WeightParams, *fields: str) -> bytes:
    copy = copy_of(weights)
    for field in fields:
        copy.ClearField(field)
    content: bytes = copy.SerializeToString(deterministic=True)
    return content


def _common_count(old: Numbers, new: Numbers) -> int | None:
    """How many values both have; packed bits may end in padding, at most seven values of it."""
    count = min(old.count, new.count)
    return count if old.count - old.padding <= count and new.count - new.padding <= count else None


def _is_rounding(old: Numbers, new: Numbers, count: int) -> bool:
    return rounded(old, new, count) or rounded(new, old, count)


def _norms(left: NDArray[np.float32], right: NDArray[np.float32]) -> tuple[float, float | None, float, int]:
    """Norm of the change, relative norm, largest change, count of values that are not finite. All in 64 bits."""
    change = length = largest = 0.0
    not_finite = 0
    for start in range(0, len(left), _AT_ONCE):
        a = left[start : start + _AT_ONCE].astype(np.float64)
        b = right[start : start + _AT_ONCE].astype(np.float64)
        finite = np.isfinite(a) & np.isfinite(b)
        if not finite.all():
            not_finite += int(np.count_nonzero(~finite))
            a, b = a[finite], b[finite]
        difference = b - a
        change += float(difference @ difference)
        length += float(a @ a)
        largest = max(largest, float(np.abs(difference).max(initial=0)))
    norm, before = float(np.sqrt(change)), float(np.sqrt(length))
    return norm, norm / before if before else None, largest, not_finite
