"""flattenTo2D: the axes before ``axis`` into one, the others into a second. ``FlattenTo2DLayerParams``.

x [A, B] (any number of axes each) -> [product of A, product of B]. ``axis`` from -rank to rank.
"""

import math

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(1)
    named = int(layer.flattenTo2D.axis)

    def flatten(x: Tensor) -> Tensor:
        rank = x.dim()
        if not -rank <= named <= rank:
            raise context.error(f"axis is {named}, expected {-rank} to {rank} for an input of rank {rank}")
        axis = named + rank if named < 0 else named
        return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))

    return Function(flatten)
