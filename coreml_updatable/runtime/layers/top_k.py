"""topK: the k largest values along ``axis`` and their indices, largest first; or the smallest. ``TopKLayerParams``.

x [A, D, B] -> values [A, k, B], indices [A, k, B]. A second input [1] gives k in the message's place. Of equal values
the first comes first; the format leaves that open.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of, integer
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(1, 2)
    params = layer.topK

    def top(x: Tensor, *dynamic: Tensor) -> tuple[Tensor, Tensor]:
        axis = axis_of(int(params.axis), x.dim(), context)
        k = integer(dynamic[0], context) if dynamic else int(params.K)
        if not 1 <= k <= x.shape[axis]:
            raise context.error(f"takes the top {k} of {x.shape[axis]} values, expected 1 to {x.shape[axis]}")
        values, places = torch.sort(x, dim=axis, stable=True, descending=not params.useBottomK)
        return values.narrow(axis, 0, k), places.narrow(axis, 0, k).to(x.dtype)

    return Function(top)
