"""argSort: the indices that would sort the input along ``axis``, ascending or descending. ``ArgSortLayerParams``.

x of any shape -> the same shape. Of equal values the first comes first; the format leaves that open.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(1)
    descending = layer.argSort.descending

    def order(x: Tensor) -> Tensor:
        axis = axis_of(int(layer.argSort.axis), x.dim(), context)
        return torch.sort(x, dim=axis, stable=True, descending=descending).indices.to(x.dtype)

    return Function(order)
