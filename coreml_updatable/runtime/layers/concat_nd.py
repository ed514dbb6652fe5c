"""concatND: joins its inputs along ``axis``, in turn or interleaved (a0 b0 a1 b1 ...). ``ConcatNDLayerParams``."""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    interleave = layer.concatND.interleave

    def concat(*inputs: Tensor) -> Tensor:
        at = axis_of(int(layer.concatND.axis), inputs[0].dim(), context)
        if not interleave:
            return torch.cat(inputs, at)
        return torch.stack(inputs, at + 1).flatten(at, at + 1)

    return Function(concat)
