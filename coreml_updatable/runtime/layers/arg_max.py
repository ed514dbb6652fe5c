"""argMax, argMin: the index of the largest or smallest value on ``axis``. ``ArgMaxLayerParams``, ``ArgMinLayerParams``.

x [A, D, B] -> [A, 1, B], or [A, B] with ``removeDim`` unless x has rank 1. Of equal values the first counts; the format
leaves that open.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of
from coreml_updatable.spec.messages import NeuralNetworkLayer

FUNCTIONS = {"argMax": torch.argmax, "argMin": torch.argmin}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(1)
    kind = layer.WhichOneof("layer")
    params, function = getattr(layer, kind), FUNCTIONS[kind]

    def index(x: Tensor) -> Tensor:
        axis = axis_of(int(params.axis), x.dim(), context)
        keep = not params.removeDim or x.dim() == 1
        return function(x, axis, keepdim=keep).to(x.dtype)

    return Function(index)
