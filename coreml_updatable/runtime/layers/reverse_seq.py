"""reverseSeq: the first ``lengths[b]`` steps of each sequence b turned round, the rest kept. ``ReverseSeqLayerParams``.

x with B sequences along ``batchAxis`` and T steps along ``sequenceAxis``, lengths [B] from 0 to T -> x's shape.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(2)

    def reverse(x: Tensor, lengths: Tensor) -> Tensor:
        batch = axis_of(int(layer.reverseSeq.batchAxis), x.dim(), context)
        sequence = axis_of(int(layer.reverseSeq.sequenceAxis), x.dim(), context)
        if batch == sequence:
            raise context.misfit(f"axis {batch} is both that of the batch and of the sequence")
        if lengths.numel() != x.shape[batch]:
            raise context.error(f"has {lengths.numel()} lengths, expected {x.shape[batch]}, one a sequence")
        along = [1] * x.dim()
        along[batch] = x.shape[batch]
        ends = lengths.long().reshape(along)
        along[batch], along[sequence] = 1, x.shape[sequence]
        steps = torch.arange(x.shape[sequence]).reshape(along)
        return torch.gather(x, sequence, torch.where(steps < ends, ends - 1 - steps, steps).expand(x.shape))

    return Function(reverse)
