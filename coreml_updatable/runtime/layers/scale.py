"""Scale and bias for each channel, or for each value of [C, H, W].

scale: y = scale x + bias. x is [..., C, H, W]; scale and bias have shape [1], [C], [1, H, W] or [C, H, W].

bias: y = x + bias. x is [..., C, H, W]; bias has shape [1], [C], [1, H, W] or [C, H, W].
"""

from collections.abc import Sequence

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.messages import NeuralNetworkLayer


class Scale(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        self.context = context
        self.scale = self.bias = None
        if context.kind == "scale":
            self.scale = context.parameter(layer.scale.scale, _sizes(layer.scale.shapeScale, context), "scale")
            if layer.scale.hasBias:
                self.bias = context.parameter(layer.scale.bias, _sizes(layer.scale.shapeBias, context), "bias")
        else:
            self.bias = context.parameter(layer.bias.bias, _sizes(layer.bias.shape, context), "bias")

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.scale is None else x * self.context.over_channels(self.scale, x)
        return y if self.bias is None else y + self.context.over_channels(self.bias, x)


def _sizes(shape: Sequence[int], context: Context) -> list[int]:
    """The declared shape of a scale or bias, [1] if it is not set."""
    if len(shape) not in (0, 1, 3):
        raise context.misfit(f"has a shape of {len(shape)} sizes, expected 1 or 3")
    return [int(size) for size in shape] or [1]


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return Scale(layer, context)
