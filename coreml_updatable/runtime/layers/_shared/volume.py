"""The three spatial axes of convolution3d and pooling3d: kernels, strides, and borders from front to right."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from torch import Tensor
from torch.nn import functional

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.borders import MAXIMUM
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.sizes import expect_shape

AXES = ("Depth", "Height", "Width")
SIDES = (("Front", "Back"), ("Top", "Bottom"), ("Left", "Right"))
CUSTOM, VALID, SAME = range(3)
Triple: TypeAlias = tuple[int, int, int]
Sides: TypeAlias = list[tuple[int, int]]  # before and after, for depth, height and width


def triple(params: Any, name: str, context: Context) -> Triple:
    """Fields such as kernelDepth, kernelHeight, kernelWidth; each must be positive."""
    depth, height, width = (int(getattr(params, name + axis)) for axis in AXES)
    if min(depth, height, width) < 1:
        raise context.misfit(f"{name} is {[depth, height, width]}, expected at least 1")
    return depth, height, width


def custom_borders(params: Any, context: Context) -> Sides:
    """``customPaddingFront`` and its siblings where ``paddingType`` is CUSTOM, else none."""
    if params.paddingType not in (CUSTOM, VALID, SAME):
        raise ModelError(f"{context.where}: paddingType {params.paddingType} is newer than this program; update it")
    if params.paddingType != CUSTOM:
        return [(0, 0)] * 3
    sides = [tuple(int(getattr(params, f"customPadding{side}")) for side in pair) for pair in SIDES]
    if not all(0 <= amount <= MAXIMUM for pair in sides for amount in pair):
        raise context.misfit(f"padding {sides}, expected 0 to {MAXIMUM}")
    return [(before, after) for before, after in sides]


def same_borders(size: Sequence[int], span: Sequence[int], stride: Sequence[int]) -> Sides:
    """Borders for D' = ceil(D / stride); the odd one goes back, bottom and right."""
    totals = [
        max(0, (-(-length // step) - 1) * step + reach - length)
        for length, reach, step in zip(size, span, stride, strict=True)
    ]
    return [(total // 2, total - total // 2) for total in totals]


def bordered(x: Tensor, sides: Sides, context: Context, value: float = 0.0) -> Tensor:
    """x [B, C, D, H, W] with ``value`` around it; a negative side cuts off. ModelError for an absurd or empty size."""
    (front, back), (top, bottom), (left, right) = sides
    amounts = (left, right, top, bottom, front, back)
    if not any(amounts):
        return x
    sizes = [length + before + after for length, (before, after) in zip(x.shape[2:], sides, strict=True)]
    expect_shape([*x.shape[:2], *sizes], context)
    return functional.pad(x, amounts, value=value)
