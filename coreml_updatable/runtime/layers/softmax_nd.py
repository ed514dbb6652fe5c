"""softmaxND: y_i = exp(x_i) / sum_j exp(x_j) along ``axis``, which may be negative. ``SoftmaxNDLayerParams``."""

import torch
from torch import nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    axis = int(layer.softmaxND.axis)
    return Function(lambda x: torch.softmax(x, axis))
