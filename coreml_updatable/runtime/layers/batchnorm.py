"""batchnorm: y = gamma (x - mean) / sqrt(variance + epsilon) + beta, along axis -3. ``BatchnormLayerParams``.

x [..., C, H, W]. ``computeMeanVar`` takes mean and variance from the input: of each [H, W] (``instanceNormalization``),
or of one row's whole batch. Epsilon 1e-5 if not set.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.messages import NeuralNetworkLayer


class Batchnorm(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.batchnorm
        shape = (int(params.channels),)
        self.context = context
        self.channels = shape[0]
        self.epsilon = params.epsilon or 1e-5
        self.instance = params.instanceNormalization
        self.gamma = context.parameter(params.gamma, shape, "gamma")
        self.beta = context.parameter(params.beta, shape, "beta")
        self.computed = params.computeMeanVar
        if not self.computed:
            self.mean = context.parameter(params.mean, shape, "mean")
            self.variance = context.parameter(params.variance, shape, "variance")

    def forward(self, x: Tensor) -> Tensor:
        self.context.expect_rank(x, 3)
        self.context.expect_channels(x.shape[-3], self.channels)
        if not self.computed:
            scale = self.gamma / torch.sqrt(self.variance + self.epsilon)
            return x * scale[:, None, None] + (self.beta - self.mean * scale)[:, None, None]
        axes = [-2, -1] if self.instance else [-2, -1, *range(-x.dim(), -3)]
        mean = x.mean(axes, keepdim=True)
        variance = (x - mean).square().mean(axes, keepdim=True)
        return (x - mean) / torch.sqrt(variance + self.epsilon) * self.gamma[:, None, None] + self.beta[:, None, None]


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return Batchnorm(layer, context)
