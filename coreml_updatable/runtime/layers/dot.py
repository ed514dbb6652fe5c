"""dot: y = sum of x1 x2 along axis -3, or their cosine (``cosineSimilarity``). ``DotProductLayerParams``.

x1, x2 [..., C, 1, 1] -> y [..., 1, 1, 1]. The format does not say what the cosine with a vector of zeros is; here 0.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    cosine = layer.dot.cosineSimilarity
    context.expect_inputs(2)

    def dot(a: Tensor, b: Tensor) -> Tensor:
        for x in (a, b):
            if x.dim() < 3 or x.shape[-2:] != (1, 1):
                raise context.error(f"input has the shape {list(x.shape)}, the layer expects [..., C, 1, 1]")
        context.expect_channels(b.shape[-3], a.shape[-3])
        y = (a * b).sum(-3, keepdim=True)
        if not cosine:
            return y
        lengths: Tensor = a.norm(dim=-3, keepdim=True) * b.norm(dim=-3, keepdim=True)
        return y / lengths.clamp(min=torch.finfo(torch.float32).tiny)

    return Function(dot)
