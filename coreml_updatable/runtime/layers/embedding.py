"""embedding, embeddingND: y = (column x of W) + b. W is [k, n], b is [k]; x contains integers in [0, n - 1]. embedding:
x [..., 1, 1, 1] of rank 4 or 5 -> y [..., k, 1, 1]. embeddingND: x [..., 1] of rank 2 to 5 -> y [..., k].
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.messages import NeuralNetworkLayer


class Embedding(nn.Module):
    """``spatial``: x and y end in two more axes of size 1."""

    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        kind = layer.WhichOneof("layer")
        params = getattr(layer, kind)
        self.context = context
        self.spatial = kind == "embedding"
        self.count = int(params.inputDim if self.spatial else params.vocabSize)
        size = int(params.outputChannels if self.spatial else params.embeddingSize)
        self.weights = context.parameter(params.weights, (size, self.count), "weights")
        self.bias = context.parameter(params.bias, (size,), "bias") if params.hasBias else None

    def forward(self, x: Tensor) -> Tensor:
        ones, lowest = ((1, 1, 1), 4) if self.spatial else ((1,), 2)
        if x.dim() < lowest or x.shape[-len(ones) :] != ones:
            raise self.context.error(
                f"input has the shape {list(x.shape)}, the layer expects [..., {', '.join('1' for _ in ones)}]"
                f" of rank {lowest} or more"
            )
        # One below 0 becomes one past the end, which torch refuses inside a batch as well.
        index = torch.where(x < 0, self.count, x).long().reshape(x.shape[: -len(ones)])
        try:
            y = self.weights.T[index]
        except IndexError as error:
            raise self.context.error(
                f"input has a number outside 0 to {self.count - 1}, the rows of its table"
            ) from error
        y = y if self.bias is None else y + self.bias
        return y[..., None, None] if self.spatial else y


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return Embedding(layer, context)
