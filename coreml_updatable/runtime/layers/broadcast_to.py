"""broadcastToLike, -Static, -Dynamic: repeated to a larger shape. ``BroadcastToLikeLayerParams`` and so on.

As numpy.broadcast_to. The shape is the second input's own (like), ``targetShape`` (static), or what the second input, a
blob [R], holds (dynamic).
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import expect_shape, integers
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    kind = layer.WhichOneof("layer")
    if kind == "broadcastToStatic":
        context.expect_inputs(1)
        shape = expect_shape([int(size) for size in layer.broadcastToStatic.targetShape], context)
        return Function(lambda x: torch.broadcast_to(x, shape))
    context.expect_inputs(2)
    if kind == "broadcastToLike":
        return Function(lambda x, like: torch.broadcast_to(x, like.shape))

    def dynamic(x: Tensor, target: Tensor) -> Tensor:
        return torch.broadcast_to(x, expect_shape(integers(target, context), context))

    return Function(dynamic)
