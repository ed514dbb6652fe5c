"""Softmax along one axis.

softmax: y_i = exp(x_i) / sum_j exp(x_j) along axis -3, or, at rank 3, along the axis that the assumption
``softmax_at_rank_3`` selects. x is [..., C, H, W], of rank 3 or more.

softmaxND: y_i = exp(x_i) / sum_j exp(x_j) along ``axis``, which may be negative.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


class Softmax(nn.Module):
    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context

    def axis(self, rank: int) -> int:
        """Return the axis for an input of ``rank``, counted from its end."""
        return -1 if rank == 3 and self.context.assumptions.softmax_at_rank_3 == "last axis" else -3

    def forward(self, x: Tensor) -> Tensor:
        self.context.expect_rank(x, 3)
        return torch.softmax(x, self.axis(x.dim()))


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    if context.kind == "softmax":
        return Softmax(context)
    axis = int(layer.softmaxND.axis)
    return Function(lambda x: torch.softmax(x, axis))
