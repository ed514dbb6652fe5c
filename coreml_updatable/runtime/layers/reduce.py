"""reduce: sum, mean, product, ... over C, H, W, each alone, or together as HW or CHW. ``ReduceLayerParams``.

x of at least the rank that the axes need; the axes reduced keep the size 1. LOGSUM sums ln(x + epsilon), epsilon 1e-6
if not set. ARGMAX, of one axis only, gives the first of equal indices.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers.reduce_nd import product
from coreml_updatable.spec.messages import NeuralNetworkLayer

AXES = ([-3, -2, -1], [-2, -1], [-3], [-2], [-1])  # CHW, HW, C, H, W
LOGSUM, ARGMAX = 3, 9
FUNCTIONS: tuple[Callable[[Tensor, list[int]], Tensor], ...] = (
    lambda x, axes: x.sum(axes, keepdim=True),
    lambda x, axes: x.mean(axes, keepdim=True),
    lambda x, axes: product(x, axes, True),
    lambda x, axes: x.log().sum(axes, keepdim=True),
    lambda x, axes: x.square().sum(axes, keepdim=True),
    lambda x, axes: x.abs().sum(axes, keepdim=True),
    lambda x, axes: torch.sqrt(x.square().sum(axes, keepdim=True)),
    lambda x, axes: torch.amax(x, axes, keepdim=True),
    lambda x, axes: torch.amin(x, axes, keepdim=True),
    lambda x, axes: x.argmax(axes[0], keepdim=True).to(x.dtype),
)


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    params = layer.reduce
    mode, epsilon = int(params.mode), params.epsilon or 1e-6
    if mode not in range(len(FUNCTIONS)) or params.axis not in range(len(AXES)):
        raise ModelError(f"{context.where}: mode {mode} or axis {params.axis} is newer than this program; update it")
    axes, function = AXES[params.axis], FUNCTIONS[mode]
    if mode == ARGMAX and len(axes) > 1:
        raise context.misfit(f"ARGMAX over {len(axes)} axes, expected one of C, H, W")

    def reduce(x: Tensor) -> Tensor:
        context.expect_rank(x, -axes[0])
        return function(x + epsilon if mode == LOGSUM else x, axes)

    return Function(reduce)
