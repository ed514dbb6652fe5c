"""flatten: [..., C, H, W] -> [..., C H W, 1, 1], channels first or last. ``FlattenLayerParams``."""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer

CHANNEL_LAST = 1


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    last = layer.flatten.mode == CHANNEL_LAST

    def flatten(x: Tensor) -> Tensor:
        context.expect_rank(x, 3)
        ordered = x.movedim(-3, -1) if last else x
        return ordered.flatten(-3)[..., None, None]

    return Function(flatten)
