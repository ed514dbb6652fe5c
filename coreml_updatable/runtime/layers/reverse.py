"""reverse: the order turned round on each axis whose flag is set, as numpy.flip. ``ReverseLayerParams``. Any shape."""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(1)
    flags = list(layer.reverse.reverseDim)

    def reverse(x: Tensor) -> Tensor:
        if x.dim() != len(flags):
            raise context.error(f"input has rank {x.dim()}, the layer expects {len(flags)}")
        return torch.flip(x, [axis for axis, flag in enumerate(flags) if flag])

    return Function(reverse)
