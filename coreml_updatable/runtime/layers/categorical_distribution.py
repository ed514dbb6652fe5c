"""categoricalDistribution: ``numSamples`` draws, with replacement, from the weights along the last axis.
``CategoricalDistributionLayerParams``.

x [..., D] -> y [..., numSamples], the numbers drawn, 0 to D - 1. x are logits, or probabilities p with the logits
ln(p + eps); the chances are softmax(logits / temperature). eps is 1e-10 and temperature 1 if not set.
The format does not name the generator, and leaves open how eps and temperature enter; for ``seed`` see random_values.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import expect_shape
from coreml_updatable.runtime.layers.random_values import seeded
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    params = layer.categoricalDistribution
    count, eps, temperature = int(params.numSamples), params.eps or 1e-10, params.temperature or 1.0

    def draw(x: Tensor) -> Tensor:
        context.expect_rank(x, 1)
        shape = expect_shape([*x.shape[:-1], count], context)
        logits = x if params.isLogits else (x + eps).log()
        chances = torch.softmax(logits / temperature, -1).reshape(-1, x.shape[-1])
        drawn = torch.multinomial(chances, count, replacement=True, generator=seeded(params.seed))
        return drawn.reshape(shape).to(x.dtype)

    return Function(draw)
