"""loadConstantND: a constant of ``shape``; no input. ``LoadConstantNDLayerParams``."""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.messages import NeuralNetworkLayer


class LoadConstantND(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.loadConstantND
        self.data = context.parameter(params.data, [int(size) for size in params.shape], "data")

    def forward(self) -> Tensor:
        return self.data


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return LoadConstantND(layer, context)
