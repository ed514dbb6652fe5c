"""pooling3d, globalPooling3d: maximum or average over depth, height and width. ``Pooling3DLayerParams``,
``GlobalPooling3DLayerParams``.

x [B, C, D, H, W] -> y [B, C, D', H', W'], or [B, C, 1, 1, 1]. Padding counts as zeros in an average unless
``countExcludePadding``; a maximum never takes it. Of same padding the format says "the input's size", which holds for a
stride of 1; for others D' = ceil(D / stride) is taken, as everywhere else in the format.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.volume import SAME, bordered, custom_borders, same_borders, triple
from coreml_updatable.spec.messages import NeuralNetworkLayer

MAX, AVERAGE = 0, 1
SPATIAL = (-3, -2, -1)


class GlobalPooling3D(nn.Module):
    def __init__(self, kind: int, context: Context) -> None:
        super().__init__()
        self.kind, self.context = kind, context

    def forward(self, x: Tensor) -> Tensor:
        _expect_volume(x, self.context)
        return x.amax(SPATIAL, keepdim=True) if self.kind == MAX else x.mean(SPATIAL, keepdim=True)


class Pooling3D(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.pooling3d
        self.context = context
        self.kind, self.exclude = params.type, params.countExcludePadding
        self.kernel, self.stride = triple(params, "kernel", context), triple(params, "stride", context)
        self.same, self.borders = params.paddingType == SAME, custom_borders(params, context)

    def forward(self, x: Tensor) -> Tensor:
        _expect_volume(x, self.context)
        sides = same_borders(x.shape[2:], self.kernel, self.stride) if self.same else self.borders
        if self.kind == MAX:
            return functional.max_pool3d(bordered(x, sides, self.context, -torch.inf), self.kernel, self.stride)
        y = functional.avg_pool3d(bordered(x, sides, self.context), self.kernel, self.stride)
        if not self.exclude:
            return y
        counted = bordered(torch.ones(1, 1, *x.shape[2:]), sides, self.context)
        volume = self.kernel[0] * self.kernel[1] * self.kernel[2]
        return y / functional.avg_pool3d(counted, self.kernel, self.stride).clamp(min=1 / volume)


def _expect_volume(x: Tensor, context: Context) -> None:
    if x.dim() != 5:
        raise context.error(f"input has rank {x.dim()}, the layer expects 5")


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    kind = layer.WhichOneof("layer")
    mode = getattr(layer, kind).type
    if mode not in (MAX, AVERAGE):
        raise ModelError(f"{context.where}: pooling type {mode} is newer than this program; install a newer version")
    return GlobalPooling3D(mode, context) if kind == "globalPooling3d" else Pooling3D(layer, context)
