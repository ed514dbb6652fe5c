"""Normalization over the last three axes C, H, W, except layerNormalization.

batchnorm: y = gamma (x - mean) / sqrt(variance + epsilon) + beta, along axis -3. x [..., C, H, W]. With
``computeMeanVar``, mean and variance are computed from the input: over each [H, W] (``instanceNormalization``), or over
the whole batch within one row. The default of epsilon is 1e-5.

layerNormalization: y = gamma (x - mean) / sqrt(variance + eps) + beta. Mean and variance are computed over the last
axes, whose sizes are ``normalizedShape``; gamma and beta have that shape.

mvn: y = (x - mean) / sqrt(variance + epsilon), or x - mean. Mean and (biased) variance are computed over H, W of each
channel, or over C, H, W. The default of epsilon is 1e-6.

l2normalize: y = x / sqrt(sum over C, H, W of x^2 + epsilon). The default of epsilon is 1e-6.

lrn: y_i = x_i / (k + alpha / n sum_j x_j^2)^beta over n = ``localSize`` neighboring channels. The format writes alpha /
C; C is read as the size of the window, as in Caffe, where this layer comes from. The default of k is 1.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import function_of
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


class LayerNormalization(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.layerNormalization
        self.context = context
        self.shape = [int(size) for size in params.normalizedShape]
        self.eps = params.eps
        if not self.shape or min(self.shape) < 1:
            raise context.misfit(f"normalizedShape is {self.shape}, expected positive sizes")
        self.gamma = context.parameter(params.gamma, self.shape, "gamma")
        self.beta = context.parameter(params.beta, self.shape, "beta")

    def forward(self, x: Tensor) -> Tensor:
        if list(x.shape[-len(self.shape) :]) != self.shape:
            raise self.context.error(
                f"input has the shape {list(x.shape)}, the layer expects it to end in {self.shape}"
            )
        return functional.layer_norm(x, self.shape, self.gamma, self.beta, self.eps)


def _mvn(params: Any, context: Context, x: Tensor) -> Tensor:
    context.expect_rank(x, 3)
    axes = (-3, -2, -1) if params.acrossChannels else (-2, -1)
    centered = x - x.mean(axes, keepdim=True)
    if not params.normalizeVariance:
        return centered
    return centered / torch.sqrt(centered.square().mean(axes, keepdim=True) + (params.epsilon or 1e-6))


def _l2normalize(params: Any, context: Context, x: Tensor) -> Tensor:
    context.expect_rank(x, 3)
    return x / torch.sqrt(x.square().sum((-3, -2, -1), keepdim=True) + (params.epsilon or 1e-6))


def _lrn(params: Any, context: Context, x: Tensor) -> Tensor:
    context.expect_rank(x, 3)
    size = int(params.localSize)
    flat = x.reshape(-1, *x.shape[-3:])
    padded = functional.pad(flat.square(), (0, 0, 0, 0, size // 2, (size - 1) // 2))
    mean = padded.unfold(1, size, 1).mean(-1)
    return (flat / torch.pow((params.k or 1.0) + params.alpha * mean, params.beta)).reshape(x.shape)


FORMULAS = {"mvn": _mvn, "l2normalize": _l2normalize, "lrn": _lrn}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    if context.kind == "batchnorm":
        return Batchnorm(layer, context)
    if context.kind == "layerNormalization":
        return LayerNormalization(layer, context)
    if context.kind == "lrn" and layer.lrn.localSize < 1:
        raise context.misfit(f"localSize is {layer.lrn.localSize}, expected at least 1")
    return function_of(context, FORMULAS)
