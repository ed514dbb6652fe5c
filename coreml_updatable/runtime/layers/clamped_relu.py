"""clampedReLU: y = min(x, beta) where x >= 0, else min(alpha x, beta). ``ClampedReLULayerParams``. Any shape."""

import torch
from torch import nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(1)
    alpha, beta = layer.clampedReLU.alpha, layer.clampedReLU.beta
    return Function(lambda x: torch.where(x >= 0, x, alpha * x).clamp(max=beta))
