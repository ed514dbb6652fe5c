"""squeeze: drops axes of size 1, those named or all of them. ``SqueezeLayerParams``. At least one axis remains."""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    named = [int(axis) for axis in layer.squeeze.axes]
    every = layer.squeeze.squeezeAll

    def squeeze(x: Tensor) -> Tensor:
        sizes = list(x.shape)
        dropped = [axis_of(axis, x.dim(), context) for axis in named]
        if every:
            dropped = [at for at, size in enumerate(sizes) if size == 1]
        for axis in dropped:
            if sizes[axis] != 1:
                raise context.error(f"axis {axis} of the input has the size {sizes[axis]}, only size 1 can be dropped")
        return x.reshape([size for at, size in enumerate(sizes) if at not in dropped] or [1])

    return Function(squeeze)
