"""gelu: y = x Phi(x), exact or by its tanh or sigmoid approximation. ``GeluLayerParams``.

The sigmoid approximation is x sigmoid(1.702 x) (Hendrycks and Gimpel, Gaussian Error Linear Units, 2016).
"""

import torch
from torch import nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer

TANH, SIGMOID = 1, 2


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    mode = layer.gelu.mode
    if mode == SIGMOID:
        return Function(lambda x: x * torch.sigmoid(1.702 * x))
    return Function(lambda x: functional.gelu(x, approximate="tanh" if mode == TANH else "none"))
