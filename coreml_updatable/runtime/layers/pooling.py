"""pooling: maximum, average, or L2 (the root of the sum of squares) over windows. ``PoolingLayerParams``.

x [..., C, H, W] -> y [..., C, H', W']. Padding counts as zeros in an average unless ``avgPoolExcludePadding``; a
maximum never takes it. With ``includeLastPixel`` the last window may reach past the padding; as in Caffe, where this
mode comes from, what lies past it never counts. A maximum over no pixel at all (borders as wide as the kernel, strides
above it) is 0, as the average is. The format leaves these open.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.borders import (
    MAXIMUM,
    Borders,
    expect_borders,
    same_padding,
    valid_padding,
)
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.messages import NeuralNetworkLayer

MAX, AVERAGE, L2 = 0, 1, 2


class GlobalPooling(nn.Module):
    def __init__(self, kind: int) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == MAX:
            return x.amax((-2, -1), keepdim=True)
        return x.mean((-2, -1), keepdim=True) if self.kind == AVERAGE else x.square().sum((-2, -1), keepdim=True).sqrt()


class Pooling(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.pooling
        self.context = context
        self.kind = params.type
        self.kernel = context.pair(params.kernelSize, 3, "kernelSize")
        self.stride = context.pair(params.stride, 1, "stride")
        self.padding = params.WhichOneof("PoolingPaddingType") or "valid"
        self.asymmetry = int(params.same.asymmetryMode)
        self.borders = valid_padding(params.valid.paddingAmounts, context)
        amounts = [int(amount) for amount in params.includeLastPixel.paddingAmounts] or [0, 0]
        if len(amounts) != 2 or max(amounts) > MAXIMUM:
            raise ModelError(
                f"{context.where}: paddingAmounts {amounts}, expected 2 small ones; export the model again"
            )
        self.amounts = amounts
        self.exclude = params.avgPoolExcludePadding

    def forward(self, x: Tensor) -> Tensor:
        self.context.expect_rank(x, 3)
        flat = x.reshape(-1, *x.shape[-3:])
        borders, beyond = self._borders(flat.shape[-2:])
        (top, bottom), (left, right) = borders
        expect_borders(flat, ((top, bottom + beyond[0]), (left, right + beyond[1])), self.context)
        y = self._pool(flat, borders, beyond)
        return y.reshape(*x.shape[:-3], *y.shape[1:])

    def _borders(self, size: Sequence[int]) -> tuple[Borders, tuple[int, int]]:
        """The padding, and how far the last window reaches past it at the bottom and right."""
        if self.padding == "same":
            return same_padding(size, self.kernel, self.stride, self.asymmetry), (0, 0)
        if self.padding == "valid":
            return self.borders, (0, 0)
        beyond = []
        for length, kernel, stride, amount in zip(size, self.kernel, self.stride, self.amounts, strict=True):
            count = -(-(length + 2 * amount - kernel) // stride) + 1
            if max(self.amounts) > 0 and (count - 1) * stride >= length + amount:
                count -= 1
            beyond.append((count - 1) * stride + kernel - length - 2 * amount)
        high, wide = self.amounts
        return ((high, high), (wide, wide)), (beyond[0], beyond[1])

    def _pool(self, x: Tensor, borders: Borders, beyond: tuple[int, int]) -> Tensor:
        (top, bottom), (left, right) = borders
        inner = (left, right, top, bottom)
        outer = (left, right + beyond[1], top, bottom + beyond[0])
        if self.kind == MAX:
            return self._maximum(x, outer)
        padded = functional.pad(x, outer) if any(outer) else x
        area = self.kernel[0] * self.kernel[1]
        if self.kind == L2:
            return (functional.avg_pool2d(padded.square(), self.kernel, self.stride) * area).sqrt()
        y = functional.avg_pool2d(padded, self.kernel, self.stride)
        if not any(outer) or not (self.exclude or any(beyond)):
            return y
        counted = torch.ones(1, 1, *x.shape[-2:], dtype=x.dtype)
        if not self.exclude:
            counted = functional.pad(counted, inner, value=1.0)
        rest = [edge - (0 if self.exclude else done) for edge, done in zip(outer, inner, strict=True)]
        share = functional.avg_pool2d(functional.pad(counted, rest), self.kernel, self.stride)
        return y / share.clamp(min=1 / area)

    def _maximum(self, x: Tensor, outer: Sequence[int]) -> Tensor:
        if not any(outer):
            return functional.max_pool2d(x, self.kernel, self.stride)
        y = functional.max_pool2d(functional.pad(x, outer, value=-torch.inf), self.kernel, self.stride)
        if max(outer) < min(self.kernel):
            return y  # no window lies outside
        inside = functional.pad(torch.ones(1, 1, *x.shape[-2:], dtype=x.dtype), outer)
        return torch.where(functional.max_pool2d(inside, self.kernel, self.stride) > 0, y, 0.0)


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    if layer.pooling.type not in (MAX, AVERAGE, L2):
        raise context.misfit(f"pooling type {layer.pooling.type} is not known")
    return GlobalPooling(layer.pooling.type) if layer.pooling.globalPooling else Pooling(layer, context)
