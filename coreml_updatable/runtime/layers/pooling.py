"""Maximum, average, or L2 (the root of the sum of squares) over windows.

pooling: maximum, average or L2 over height and width. x [..., C, H, W] -> y [..., C, H', W'].

pooling3d: maximum or average over depth, height and width. x [B, C, D, H, W] -> y [B, C, D', H', W']. For same padding,
the format gives "the input's size", which is only true for a stride of 1; for other strides D' = ceil(D / stride), as
everywhere else in the format.

globalPooling3d: maximum or average of each channel. x [B, C, D, H, W] -> y [B, C, 1, 1, 1].

An average includes the padding as zeros unless it is excluded; a maximum never includes it. With ``includeLastPixel``,
the last window may extend beyond the padding; what lies beyond is never included, as in Caffe, where this mode comes
from. The maximum of a window without any pixel (padding as wide as the kernel, a larger stride) is 0, like the average.
The format leaves these points open.
"""

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.borders import (
    MAX_BORDER,
    SAME,
    Borders,
    border_amounts,
    custom_borders,
    expect_borders,
    same_borders,
    torch_edges,
    triple,
)
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.messages import NeuralNetworkLayer

MAX, AVERAGE, L2 = 0, 1, 2
MAXIMUM: dict[int, Callable[..., Tensor]] = {2: functional.max_pool2d, 3: functional.max_pool3d}
MEAN: dict[int, Callable[..., Tensor]] = {2: functional.avg_pool2d, 3: functional.avg_pool3d}


class GlobalPooling(nn.Module):
    def __init__(self, axes: int, context: Context) -> None:
        super().__init__()
        self.kind, self.context = context.params.type, context
        self.axes = tuple(range(-axes, 0))

    def forward(self, x: Tensor) -> Tensor:
        if len(self.axes) == 3:
            self.context.expect_rank(x, 5, 5)
        if self.kind == MAX:
            return x.amax(self.axes, keepdim=True)
        return x.mean(self.axes, keepdim=True) if self.kind == AVERAGE else x.square().sum(self.axes, True).sqrt()


class Pooling(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        self.context = context
        self.kind = context.params.type
        self.kernel: Sequence[int]
        self.stride: Sequence[int]
        self.same: int | None = None  # the asymmetry
        self.amounts: list[int] = []  # of includeLastPixel
        if context.kind == "pooling":
            plane = layer.pooling
            self.kernel = context.pair(plane.kernelSize, 3, "kernelSize")
            self.stride = context.pair(plane.stride, 1, "stride")
            self.borders = border_amounts(plane.valid.paddingAmounts, context)
            self.exclude = plane.avgPoolExcludePadding
            padding = plane.WhichOneof("PoolingPaddingType")
            if padding == "same":
                self.same = int(plane.same.asymmetryMode)
            if padding == "includeLastPixel":
                self.amounts = [int(amount) for amount in plane.includeLastPixel.paddingAmounts] or [0, 0]
                if len(self.amounts) != 2 or max(self.amounts) > MAX_BORDER:
                    raise context.misfit(f"paddingAmounts {self.amounts}, expected 2 small ones")
        else:
            volume = layer.pooling3d
            self.kernel, self.stride = triple(volume, "kernel", context), triple(volume, "stride", context)
            self.borders = custom_borders(volume, context)
            self.exclude = volume.countExcludePadding
            self.same = 0 if volume.paddingType == SAME else None
        self.axes = len(self.kernel)

    def forward(self, x: Tensor) -> Tensor:
        self.context.expect_rank(x, *((3,) if self.axes == 2 else (5, 5)))
        flat = x.reshape(-1, *x.shape[-self.axes - 1 :])
        inner, outer = self._borders(flat.shape[-self.axes :])
        expect_borders(flat, outer, self.context)
        y = self._pool(flat, torch_edges(inner), torch_edges(outer))
        return y.reshape(*x.shape[: -self.axes - 1], *y.shape[1:])

    def _borders(self, size: Sequence[int]) -> tuple[Borders, Borders]:
        """The padding, and the padding with what the last window reaches past it."""
        if self.same is not None:
            borders = same_borders(size, self.kernel, self.stride, self.same)
            return borders, borders
        if not self.amounts:
            return self.borders, self.borders
        beyond = []
        for length, kernel, stride, amount in zip(size, self.kernel, self.stride, self.amounts, strict=True):
            count = -(-(length + 2 * amount - kernel) // stride) + 1
            if max(self.amounts) > 0 and (count - 1) * stride >= length + amount:
                count -= 1
            beyond.append((count - 1) * stride + kernel - length - 2 * amount)
        return (
            [(amount, amount) for amount in self.amounts],
            [(amount, amount + more) for amount, more in zip(self.amounts, beyond, strict=True)],
        )

    def _pool(self, x: Tensor, inner: Sequence[int], outer: Sequence[int]) -> Tensor:
        if self.kind == MAX:
            return self._maximum(x, outer)
        padded = functional.pad(x, outer) if any(outer) else x
        area = prod(self.kernel)
        if self.kind == L2:
            return (self._mean(padded.square()) * area).sqrt()
        y = self._mean(padded)
        if not any(outer) or not (self.exclude or outer != inner):
            return y
        counted = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype)
        if not self.exclude:
            counted = functional.pad(counted, inner, value=1.0)
        rest = [edge - (0 if self.exclude else done) for edge, done in zip(outer, inner, strict=True)]
        return y / self._mean(functional.pad(counted, rest)).clamp(min=1 / area)

    def _mean(self, x: Tensor) -> Tensor:
        return MEAN[self.axes](x, self.kernel, self.stride)

    def _maximum(self, x: Tensor, outer: Sequence[int]) -> Tensor:
        pool = MAXIMUM[self.axes]
        if not any(outer):
            return pool(x, self.kernel, self.stride)
        y = pool(functional.pad(x, outer, value=-torch.inf), self.kernel, self.stride)
        if max(outer) < min(self.kernel):
            return y  # no window lies outside
        inside = functional.pad(torch.ones(1, 1, *x.shape[2:], dtype=x.dtype), outer)
        return torch.where(pool(inside, self.kernel, self.stride) > 0, y, 0.0)


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    plane = context.kind == "pooling"
    if context.params.type not in ((MAX, AVERAGE, L2) if plane else (MAX, AVERAGE)):
        raise context.unknown(f"pooling type {context.params.type}")
    if context.kind == "globalPooling3d" or (plane and layer.pooling.globalPooling):
        return GlobalPooling(2 if plane else 3, context)
    return Pooling(layer, context)
