"""scale: y = scale x + bias, broadcast over the last three axes. ``ScaleLayerParams``.

x [..., C, H, W]; scale and bias of shape [1], [C], [1, H, W] or [C, H, W].
"""

from collections.abc import Sequence

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.messages import NeuralNetworkLayer


class Scale(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.scale
        self.context = context
        self.scale = context.parameter(params.scale, sizes(params.shapeScale, context), "scale")
        self.bias = None
        if params.hasBias:
            self.bias = context.parameter(params.bias, sizes(params.shapeBias, context), "bias")

    def forward(self, x: Tensor) -> Tensor:
        y = x * over_channels(self.scale, x, self.context)
        return y if self.bias is None else y + over_channels(self.bias, x, self.context)


def over_channels(values: Tensor, x: Tensor, context: Context) -> Tensor:
    """[C] -> [C, 1, 1]; a shape of length 3 stays. ModelError unless x [..., C, H, W] keeps its shape beside it."""
    context.expect_rank(x, 3)
    shaped = values[:, None, None] if values.dim() == 1 else values
    if any(size not in (1, has) for size, has in zip(shaped.shape, x.shape[-3:], strict=True)):
        raise context.error(f"input has the shape {list(x.shape)}, the layer expects one for {list(values.shape)}")
    return shaped


def sizes(shape: Sequence[int], context: Context) -> list[int]:
    """The declared shape of a scale or bias, [1] if it is not set."""
    if len(shape) not in (0, 1, 3):
        raise context.misfit(f"a shape of {len(shape)} sizes, expected 1 or 3")
    return [int(size) for size in shape] or [1]


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return Scale(layer, context)
