"""lrn: y_i = x_i / (k + alpha / n sum_j x_j^2)^beta over n = ``localSize`` neighbouring channels. ``LRNLayerParams``.

The format writes alpha / C; C is taken as the window's size, as in Caffe, whose layer this is. k is 1 if not set.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    params = layer.lrn
    size, alpha, beta, k = int(params.localSize), params.alpha, params.beta, params.k or 1.0
    if size < 1:
        raise ModelError(f"{context.where}: localSize is {size}, expected at least 1; export the model again")

    def normalize(x: Tensor) -> Tensor:
        context.expect_rank(x, 3)
        flat = x.reshape(-1, *x.shape[-3:])
        padded = functional.pad(flat.square(), (0, 0, 0, 0, size // 2, (size - 1) // 2))
        mean = padded.unfold(1, size, 1).mean(-1)
        return (flat / torch.pow(k + alpha * mean, beta)).reshape(x.shape)

    return Function(normalize)
