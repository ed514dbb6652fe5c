"""How far two models' numbers lie apart, against how far those of different rows do: what a comparison is worth."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from coreml_updatable.data.inputs import Float64Array

ALLOWED = 0.01  # of the spread
ROUNDING = 1e-4  # of the largest number: sums of 32 bits through a deep network differ by less
CONSTANT = 1e-6  # of the largest number: rows that lie no further apart are the same in 32 bits


@dataclass(frozen=True)
class Compared:
    """``difference`` is the largest between the two, ``spread`` the largest between rows of one number.

    "agree": the difference is small against the spread. "differ": it is not, nor is it rounding. "constant": the rows
    lie so close together that two models could agree on them and be different ones.
    """

    difference: float
    spread: float
    verdict: Literal["agree", "differ", "constant"]

    @property
    def relative(self) -> float:
        """The difference as a part of the spread."""
        return self.difference / self.spread if self.spread else 0.0 if not self.difference else float("inf")


def compared(expected: Float64Array, result: Float64Array) -> Compared:
    """Two arrays [rows, numbers]. Equal infinities, as a mask leaves them, agree; other infinite numbers differ."""
    with np.errstate(invalid="ignore"):  # where both are infinite
        difference = float(np.where(expected == result, 0.0, np.abs(expected - result)).max())
    finite = np.where(np.isfinite(expected), expected, 0.0)
    largest, spread = float(np.abs(finite).max()), float(np.ptp(finite, axis=0).max())
    if not np.isfinite(difference):
        return Compared(difference, spread, "differ")
    if difference <= ALLOWED * spread and spread > CONSTANT * largest:
        return Compared(difference, spread, "agree")
    return Compared(difference, spread, "constant" if difference <= ROUNDING * largest else "differ")


@dataclass(frozen=True)
class Agreement:
    """How far what was made answers as what it was made from.

    ``difference``: the largest over ``rows`` rows, in probability, or as whoever compares says. ``relative``: the
    largest as a part of how far rows lie apart, of logits or features; None where these were not compared. ``proved``
    is False where the rows lie so close together that agreement says little; ``notes`` say so.
    """

    difference: float
    rows: int = 0
    relative: float | None = None
    proved: bool = True
    notes: tuple[str, ...] = ()
    rounding: float = 0.0  # of the source itself in 32 bits, where it is what explains ``difference``


def not_proved(what: str, rows: int) -> str:
    """The note on a comparison whose verdict is "constant": ``what`` answers the same everywhere."""
    return (
        f"NOT PROVED: {what} is the same on all {rows} rows within 32-bit precision, so the comparison proves "
        "little; check the weights and the scaling of the input"
    )


def agreement(difference: float, expected: Float64Array, result: Float64Array, what: str) -> Agreement:
    """Return what it is worth that answers [rows, numbers] lie within ``difference``; ``what`` names them in a note."""
    rows = len(expected)
    if rows == 1 or compared(expected, result).verdict != "constant":
        return Agreement(difference, rows)
    return Agreement(difference, rows, proved=False, notes=(not_proved(what, rows),))


def agreement_by_logits(
    difference: float, expected: Float64Array, result: Float64Array, logits: Compared, who: str
) -> Agreement:
    """Return the same for probabilities whose ``logits`` agree: these tell rows apart where all of those are 0 or 1."""
    rows = len(expected)
    if logits.verdict == "constant":
        return Agreement(difference, rows, logits.relative, False, (not_proved(f"the answer of {who}", rows),))
    notes: tuple[str, ...] = ()
    if compared(expected, result).verdict == "constant":
        notes = (
            f"{who} gives the same probabilities on every row (the largest is {expected.max():.4g}), which proves "
            f"nothing; its logits were compared instead, and agree within {logits.relative:.1g} of their spread",
        )
    return Agreement(difference, rows, logits.relative, True, notes)


def centered(logits: Float64Array) -> Float64Array:
    """Logits [rows, classes] without what a row has in common, which a softmax does not see."""
    finite = np.isfinite(logits)
    counts = np.maximum(1, finite.sum(axis=1, keepdims=True))
    return np.asarray(logits - np.where(finite, logits, 0.0).sum(axis=1, keepdims=True) / counts)
