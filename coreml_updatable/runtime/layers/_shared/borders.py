"""Borders around the spatial axes: ``BorderAmounts``, ``ValidPadding`` and ``SamePadding``."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from torch import Tensor
from torch.nn import functional

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.sizes import expect_shape

Borders: TypeAlias = tuple[tuple[int, int], tuple[int, int]]  # (top, bottom), (left, right), in pixels
MAXIMUM = 2**16  # of a border; a larger one is an absurd size, not a picture


def valid_padding(amounts: Any, context: Context) -> Borders:
    """``BorderAmounts`` [H, W]; none if not set."""
    edges = amounts.borderAmounts
    if not len(edges):
        return (0, 0), (0, 0)
    if len(edges) != 2:
        raise ModelError(f"{context.where}: {len(edges)} border amounts, expected 2 (height, width); export it again")
    (top, bottom), (left, right) = ((int(edge.startEdgeSize), int(edge.endEdgeSize)) for edge in edges)
    if max(top, bottom, left, right) > MAXIMUM:
        raise ModelError(f"{context.where}: a border above {MAXIMUM} pixels; export the model again")
    return (top, bottom), (left, right)


def same_padding(size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], asymmetry: int) -> Borders:
    """Borders for H' = ceil(H / stride); the odd pixel goes bottom and right, or top and left (``asymmetry`` 1)."""
    sides = []
    for length, span, step in zip(size, kernel, stride, strict=True):
        total = max(0, ((length + step - 1) // step - 1) * step + span - length)
        smaller = total // 2
        sides.append((total - smaller, smaller) if asymmetry else (smaller, total - smaller))
    return sides[0], sides[1]


def padded(x: Tensor, borders: Borders, context: Context, value: float = 0.0) -> Tensor:
    """x [..., H, W] with ``value`` around it; a negative border cuts off. ModelError for an absurd or empty size."""
    (top, bottom), (left, right) = borders
    expect_borders(x, borders, context)
    return functional.pad(x, (left, right, top, bottom), value=value) if any((top, bottom, left, right)) else x


def expect_borders(x: Tensor, borders: Borders, context: Context) -> None:
    """ModelError if x [..., H, W] with ``borders`` would be too large, or empty."""
    sides = [length + before + after for length, (before, after) in zip(x.shape[-2:], borders, strict=True)]
    shape = [*x.shape[:-2], *sides]
    if min(shape) < 1 or math.prod(shape) > x.numel():  # without borders nothing is made
        expect_shape(shape, context)
