"""cumSum: y_i = x_0 + ... + x_i along ``axis``; up to x_(i - 1) with ``excludeFinalSum``. ``CumSumLayerParams``.

``reverse`` sums from the other end. x of any shape -> the same shape. A second input [1] gives the axis in the
message's place.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of, integer
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(1, 2)
    params = layer.cumSum

    def sums(x: Tensor, *dynamic: Tensor) -> Tensor:
        named = integer(dynamic[0], context) if dynamic else int(params.axis)
        axis = axis_of(named, x.dim(), context)
        y = torch.cumsum(x.flip(axis) if params.reverse else x, axis)
        if params.excludeFinalSum:
            first = torch.zeros_like(y.narrow(axis, 0, 1))
            y = torch.cat([first, y.narrow(axis, 0, y.shape[axis] - 1)], axis)
        return y.flip(axis) if params.reverse else y

    return Function(sums)
