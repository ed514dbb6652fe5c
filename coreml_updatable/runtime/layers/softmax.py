"""softmax: y_i = exp(x_i) / sum_j exp(x_j) along axis -3. ``SoftmaxLayerParams``. x [..., C, H, W], rank 3 or more."""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.context import Context
from coreml_updatable.runtime.layers.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    def softmax(x: Tensor) -> Tensor:
        context.expect_rank(x, 3)
        return torch.softmax(x, -3)

    return Function(softmax)
