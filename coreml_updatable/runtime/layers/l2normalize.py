"""l2normalize: y = x / sqrt(sum over C, H, W of x^2 + epsilon). ``L2NormalizeLayerParams``. Epsilon 1e-6 if unset."""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    epsilon = layer.l2normalize.epsilon or 1e-6

    def normalize(x: Tensor) -> Tensor:
        context.expect_rank(x, 3)
        return x / torch.sqrt(x.square().sum((-3, -2, -1), keepdim=True) + epsilon)

    return Function(normalize)
