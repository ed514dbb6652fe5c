"""permute: x [Seq, B, C, H, W] with the axes Seq, C, H, W in another order; B stays second. ``PermuteLayerParams``.

Axis i of those four in the output is axis ``axis[i]`` of those four in the input. The format asks for rank 5; an order
that leaves Seq in place also does for rank 3 and 4.
"""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer

PLACES = (-5, -3, -2, -1)  # Seq, C, H, W


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    order = [int(axis) for axis in layer.permute.axis] or [0, 1, 2, 3]
    if sorted(order) != [0, 1, 2, 3]:
        raise context.misfit(f"axis is {order}, expected an order of 0, 1, 2, 3")

    def permute(x: Tensor) -> Tensor:
        context.expect_rank(x, 3 if order[0] == 0 else 5)
        axes = list(range(x.dim()))
        for place, axis in zip(PLACES, order, strict=True):
            if place >= -x.dim():
                axes[place] = x.dim() + PLACES[axis]
        return x.permute(axes)

    return Function(permute)
