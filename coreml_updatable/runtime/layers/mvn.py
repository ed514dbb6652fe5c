"""mvn: y = (x - mean) / sqrt(variance + epsilon), or x - mean. ``MeanVarianceNormalizeLayerParams``.

x [..., C, H, W]: mean and (biased) variance over H, W of each channel, or over C, H, W. Epsilon 1e-6 if not set.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    params = layer.mvn
    axes = (-3, -2, -1) if params.acrossChannels else (-2, -1)
    epsilon, divide = params.epsilon or 1e-6, params.normalizeVariance

    def normalize(x: Tensor) -> Tensor:
        context.expect_rank(x, 3)
        centred = x - x.mean(axes, keepdim=True)
        return centred / torch.sqrt(centred.square().mean(axes, keepdim=True) + epsilon) if divide else centred

    return Function(normalize)
