"""gather: y = x[..., indices, ...] along ``axis``, as numpy.take. ``GatherLayerParams``.

x [A, D, B] and indices [I] (each letter any number of axes, D one) -> [A, I, B]. Negative indices count from the end.
"""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(2)

    def gather(x: Tensor, indices: Tensor) -> Tensor:
        axis = axis_of(int(layer.gather.axis), x.dim(), context)
        return x[(slice(None),) * axis + (indices.long(),)]

    return Function(gather)
