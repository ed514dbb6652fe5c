"""tile: the input repeated ``reps[i]`` times along axis i. ``TileLayerParams``.

x [d0, ..., dR] -> [d0 reps0, ..., dR repsR]; fewer reps than axes are for the last ones. A second input gives the reps
in the message's place.
"""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import expect_shape, integers
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(1, 2)
    static = [int(count) for count in layer.tile.reps]

    def tile(x: Tensor, *dynamic: Tensor) -> Tensor:
        reps = integers(dynamic[0], context) if dynamic else static
        if not 1 <= len(reps) <= x.dim() or min(reps) < 1:
            raise context.error(f"repeats {reps} times, expected 1 to {x.dim()} counts of at least 1")
        full = [1] * (x.dim() - len(reps)) + reps
        expect_shape([size * count for size, count in zip(x.shape, full, strict=True)], context)
        return x.repeat(full)

    return Function(tile)
