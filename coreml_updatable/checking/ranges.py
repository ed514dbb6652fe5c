"""Ranges of lengths, with the arithmetic of Apple's shape inference: unsigned, clipped at zero.

A range limits the length of an axis of a blob; if ``high`` is None, there is no upper limit. If no length is left, it
is a ``ContradictionError``.
"""

from typing import NamedTuple

AXES = ("sequence", "batch", "channel", "height", "width")
_WORD = 2**64


class ContradictionError(Exception):
    """Two ranges of an axis have no length in common."""


class Range(NamedTuple):
    """Lengths from ``low`` to ``high``, inclusive."""

    low: int = 0
    high: int | None = None

    def plus(self, index: int) -> "Range":
        return _ordered(_added(self.low, index), None if self.high is None else _added(self.high, index))

    def times(self, index: int) -> "Range":
        return _ordered(self.low * index % _WORD, None if self.high is None else self.high * index % _WORD)

    def over(self, index: int) -> "Range":
        """Divided and rounded down."""
        if index <= 0:
            raise ContradictionError(f"a length is divided by {index}")
        return Range(self.low // index, None if self.high is None else self.high // index)

    def over_up(self, index: int) -> "Range":
        """Divided and rounded up."""
        if index <= 0:
            raise ContradictionError(f"a length is divided by {index}")
        return Range(-(-self.low // index), None if self.high is None else -(-self.high // index))

    def together(self, other: "Range") -> "Range":
        """The range of the sum."""
        high = None if None in (self.high, other.high) else (self.high or 0) + (other.high or 0)
        return _ordered((self.low + other.low) % _WORD, None if high is None else high % _WORD)

    def product(self, other: "Range") -> "Range":
        high = None if None in (self.high, other.high) else (self.high or 0) * (other.high or 0)
        return _ordered(self.low * other.low % _WORD, None if high is None else high % _WORD)

    def both(self, other: "Range") -> "Range":
        """Return the lengths that are in both ranges."""
        low = max(self.low, other.low)
        highs = [high for high in (self.high, other.high) if high is not None]
        if highs and min(highs) < low:
            raise ContradictionError(f"{self} and {other}")
        return Range(low, min(highs) if highs else None)

    def either(self, other: "Range") -> "Range":
        """Return the smallest range that contains both."""
        highs = (self.high, other.high)
        high = None if None in highs else max(high for high in highs if high is not None)
        return Range(min(self.low, other.low), high)

    @property
    def is_fixed(self) -> bool:
        return self.low == self.high

    def __str__(self) -> str:
        if self.is_fixed:
            return str(self.low)
        return f"{self.low} or more" if self.high is None else f"{self.low} to {self.high}"


class Blob:
    """The known ranges of the five lengths of a blob; they can only narrow."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ranges = dict.fromkeys(AXES, Range())

    def __getitem__(self, axis: str) -> Range:
        return self.ranges[axis]

    def narrow(self, axis: str, wanted: Range) -> None:
        """Keep only the lengths of ``axis`` that are also ``wanted``."""
        try:
            self.ranges[axis] = self.ranges[axis].both(wanted)
        except ContradictionError:
            raise ContradictionError(f"{axis} of '{self.name}': {self.ranges[axis]} and {wanted}") from None

    def fix(self, **lengths: int) -> None:
        for axis, length in lengths.items():
            self.narrow(axis, Range(unsigned(length), unsigned(length)))

    def at_least(self, axis: str, length: int) -> None:
        self.narrow(axis, Range(unsigned(length)))

    def at_most(self, axis: str, length: int | None) -> None:
        if length is not None:
            self.narrow(axis, Range(0, unsigned(length)))

    def like(self, other: "Blob", *axes: str) -> None:
        for axis in axes:
            self.narrow(axis, other[axis])


def unsigned(index: int) -> int:
    """Return the value wrapped to 64 unsigned bits."""
    return index % _WORD


def signed(index: int) -> int:
    """Return the value wrapped to 32 signed bits."""
    return (int(index) + 2**31) % 2**32 - 2**31


def quotient(index: int, divisor: int) -> int:
    """Integer division that rounds toward zero."""
    size = abs(index) // abs(divisor)
    return size if (index < 0) == (divisor < 0) else -size


def _added(length: int, index: int) -> int:
    return max(0, length + index) if index < 0 else (length + index) % _WORD


def _ordered(low: int, high: int | None) -> Range:
    if high is not None and high < low:
        raise ContradictionError(f"a length of {low} or more and at most {high}")
    return Range(low, high)
