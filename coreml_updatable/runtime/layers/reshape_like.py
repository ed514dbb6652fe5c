"""reshapeLike, reshapeDynamic: other shape, same values. ``ReshapeLikeLayerParams``, ``ReshapeDynamicLayerParams``.

The shape is the second input's own (like), or what the second input, a blob [R], holds (dynamic); one -1 is inferred.
"""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import integers
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(2)
    if layer.WhichOneof("layer") == "reshapeLike":
        return Function(lambda x, like: x.reshape(like.shape))

    def reshape(x: Tensor, shape: Tensor) -> Tensor:
        return x.reshape(integers(shape, context))

    return Function(reshape)
