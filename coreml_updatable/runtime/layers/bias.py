"""bias: y = x + bias, of shape [1], [C], [1, H, W] or [C, H, W] against x [..., C, H, W]. ``BiasLayerParams``."""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers.scale import over_channels, sizes
from coreml_updatable.spec.messages import NeuralNetworkLayer


class Bias(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        self.context = context
        self.bias = context.parameter(layer.bias.bias, sizes(layer.bias.shape, context), "bias")

    def forward(self, x: Tensor) -> Tensor:
        return x + over_channels(self.bias, x, self.context)


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return Bias(layer, context)
