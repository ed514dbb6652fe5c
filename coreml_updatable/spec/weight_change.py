"""How one weight field of a layer changed, as plain values."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightChange:
    """One weight field of a layer that is not the same in both models.

    ``kind``: "changed" (other values), "rounded" (the same values, as near as the coarser storage holds them), "stored"
    (the very same values, stored otherwise), "count" (another number of values), "fields" (the same values in the same
    storage, with something else beside them) or "unreadable" (a quantization that can not be decoded). ``norm`` is the
    Euclidean norm of the change, ``relative`` that norm over the norm of the old values, ``largest`` the greatest
    change of one value; None where there is none.
    """

    field: str
    kind: str
    before: str  # how the numbers are stored: "float32", "8-bit linear" ...
    after: str
    values: int
    norm: float | None = None
    relative: float | None = None
    largest: float | None = None
    not_finite: int = 0  # values that are NaN or infinite in either model; they are left out of the norms
