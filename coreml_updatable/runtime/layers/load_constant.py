"""loadConstant: a constant [1, 1, C, H, W] of ``shape`` [C, H, W]; no input. ``LoadConstantLayerParams``.

Writers that map shapes exactly also give other lengths of ``shape``; ones are put before it, up to rank 5.
"""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.messages import NeuralNetworkLayer

RANK = 5


class LoadConstant(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.loadConstant
        shape = [int(size) for size in params.shape]
        if not 1 <= len(shape) <= RANK:
            raise context.misfit(f"shape has {len(shape)} values, expected 3 (C, H, W)")
        self.data = context.parameter(params.data, shape, "data")

    def forward(self) -> Tensor:
        return self.data.reshape([1] * (RANK - self.data.dim()) + list(self.data.shape))


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return LoadConstant(layer, context)
