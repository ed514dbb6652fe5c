"""clip: y = min(max(x, minVal), maxVal). ``ClipLayerParams``."""

import torch
from torch import nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    low, high = layer.clip.minVal, layer.clip.maxVal
    if low < high:  # hardtanh is the same function, which torch fuses into the convolution before it
        return Function(
            lambda x: functional.hardtanh(x, low, high), in_place=lambda x: functional.hardtanh_(x, low, high)
        )
    return Function(lambda x: torch.clamp(x, low, high))
