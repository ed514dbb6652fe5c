"""Borders around the last two or three axes: ``ValidPadding``, ``SamePadding``, ``customPadding...``."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from torch import Tensor
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.sizes import expect_shape

Borders: TypeAlias = Sequence[tuple[int, int]]  # before and after, an entry an axis: (depth,) height, width
MAX_BORDER = 2**16  # a larger one is an absurd size, not a picture
SIDES = (("Front", "Back"), ("Top", "Bottom"), ("Left", "Right"))
CUSTOM, VALID, SAME = range(3)  # paddingType of the layers of volumes


def border_amounts(amounts: Any, context: Context) -> Borders:
    """``BorderAmounts`` [H, W]; none if not set."""
    edges = amounts.borderAmounts
    if not len(edges):
        return [(0, 0), (0, 0)]
    if len(edges) != 2:
        raise context.misfit(f"found {len(edges)} border amounts, expected 2 (height, width)")
    return _bounded([(int(edge.startEdgeSize), int(edge.endEdgeSize)) for edge in edges], context)


def custom_borders(params: Any, context: Context) -> Borders:
    """``customPaddingFront`` and its siblings where ``paddingType`` is CUSTOM, else none."""
    if params.paddingType not in (CUSTOM, VALID, SAME):
        raise context.unknown(f"paddingType {params.paddingType}")
    if params.paddingType != CUSTOM:
        return [(0, 0)] * 3
    amounts = ((int(getattr(params, f"customPadding{side}")) for side in pair) for pair in SIDES)
    return _bounded([(before, after) for before, after in amounts], context)


def _bounded(borders: Borders, context: Context) -> Borders:
    if not all(0 <= amount <= MAX_BORDER for pair in borders for amount in pair):
        raise context.misfit(f"borders {borders}, expected 0 to {MAX_BORDER}")
    return borders


def same_borders(size: Sequence[int], span: Sequence[int], stride: Sequence[int], asymmetry: int = 0) -> Borders:
    """Borders for H' = ceil(H / stride); the odd pixel goes behind, or before (``asymmetry`` 1)."""
    totals = (
        max(0, ((length + step - 1) // step - 1) * step + reach - length)
        for length, reach, step in zip(size, span, stride, strict=True)
    )
    return [halves(total, asymmetry) for total in totals]


def halves(total: int, asymmetry: int | None) -> tuple[int, int]:
    smaller = int(total / 2)  # towards zero: a negative total pads
    return (total - smaller, smaller) if asymmetry else (smaller, total - smaller)


def padded(x: Tensor, borders: Borders, context: Context) -> Tensor:
    """x [..., H, W] with zeros around it; a negative border cuts off. ModelError for an absurd or empty size."""
    expect_borders(x, borders, context)
    edges = torch_edges(borders)
    return functional.pad(x, edges) if any(edges) else x


def torch_edges(borders: Borders) -> list[int]:
    """The same borders in torch's order, which counts from the last axis."""
    return [edge for pair in reversed(borders) for edge in pair]


def expect_borders(x: Tensor, borders: Borders, context: Context) -> None:
    """ModelError if x [..., H, W] with ``borders`` would be too large, or empty."""
    axes = len(borders)
    sides = [length + before + after for length, (before, after) in zip(x.shape[-axes:], borders, strict=True)]
    shape = [*x.shape[:-axes], *sides]
    if min(shape) < 1 or math.prod(shape) > x.numel():  # without borders nothing is made
        expect_shape(shape, context)


def triple(params: Any, name: str, context: Context) -> tuple[int, int, int]:
    """Fields such as kernelDepth, kernelHeight, kernelWidth; each must be positive."""
    depth, height, width = (int(getattr(params, name + axis)) for axis in ("Depth", "Height", "Width"))
    if min(depth, height, width) < 1:
        raise context.misfit(f"{name} is {[depth, height, width]}, expected at least 1")
    return depth, height, width
