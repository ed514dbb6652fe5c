"""oneHot: ``onValue`` at the place that the index names on a new axis, ``offValue`` elsewhere. ``OneHotLayerParams``.

indices [A, B] -> [A, oneHotVectorSize, B], the new axis at ``axis`` of the output. An index out of range, negative ones
included, gives ``offValue`` everywhere. A second input [1] gives the size in the message's place.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of, expect_shape, integer
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(1, 2)
    params = layer.oneHot

    def encode(indices: Tensor, *dynamic: Tensor) -> Tensor:
        size = integer(dynamic[0], context) if dynamic else int(params.oneHotVectorSize)
        axis = axis_of(int(params.axis), indices.dim() + 1, context)
        expect_shape([*indices.shape, size], context)
        places = torch.arange(size).reshape(size, *(1 for _ in indices.shape[axis:]))
        on, off = (torch.tensor(value, dtype=indices.dtype) for value in (params.onValue, params.offValue))
        return torch.where(indices.long().unsqueeze(axis) == places, on, off)

    return Function(encode)
