"""reduceMean and its siblings: over the named axes, or all. ``ReduceMeanLayerParams`` and so on.

L1 is the sum of |x|, L2 the root of the sum of squares, LogSum log(sum x), LogSumExp log(sum exp(x)).
If every axis goes and ``keepDims`` is not set, the output has the shape [1].
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of
from coreml_updatable.spec.messages import NeuralNetworkLayer

FUNCTIONS: dict[str, Callable[[Tensor, list[int], bool], Tensor]] = {
    "reduceMean": lambda x, axes, keep: x.mean(axes, keepdim=keep),
    "reduceSum": lambda x, axes, keep: x.sum(axes, keepdim=keep),
    "reduceMax": lambda x, axes, keep: torch.amax(x, axes, keepdim=keep),
    "reduceMin": lambda x, axes, keep: torch.amin(x, axes, keepdim=keep),
    "reduceProd": lambda x, axes, keep: product(x, axes, keep),
    "reduceL1": lambda x, axes, keep: x.abs().sum(axes, keepdim=keep),
    "reduceL2": lambda x, axes, keep: x.square().sum(axes, keepdim=keep).sqrt(),
    "reduceSumSquare": lambda x, axes, keep: x.square().sum(axes, keepdim=keep),
    "reduceLogSum": lambda x, axes, keep: x.sum(axes, keepdim=keep).log(),
    "reduceLogSumExp": lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep),
}


def product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    """Over ``axes``, all counted from the same end; torch multiplies along one at a time."""
    for axis in sorted(axes, reverse=True):  # from the last on, so that dropping one moves no other
        x = x.prod(axis, keepdim=keep)
    return x


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    kind = layer.WhichOneof("layer")
    params = getattr(layer, kind)
    named, keep, function = [int(axis) for axis in params.axes], params.keepDims, FUNCTIONS[kind]
    every = params.reduceAll or not named

    def reduce(x: Tensor) -> Tensor:
        axes = list(range(x.dim())) if every else [axis_of(axis, x.dim(), context) for axis in named]
        y = function(x, axes, keep)
        return y if y.dim() else y.reshape(1)

    return Function(reduce)
