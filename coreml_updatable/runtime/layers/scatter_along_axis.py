"""scatterAlongAxis: y = container, then y[indices[i, j], j] = updates[i, j] or +=. ``ScatterAlongAxisLayerParams``.

container [A, D, B], indices and updates [A, I, B] -> [A, D, B] along ``axis`` (above, 0), as
numpy.put_along_axis. Negative indices count from the end. Of several updates to one place, SCATTER_UPDATE keeps the
last.
"""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.scattering import expect_updates, mode_of, scattered
from coreml_updatable.runtime.layers._shared.sizes import axis_of, indices
from coreml_updatable.runtime.layers.gather_along_axis import expect_along
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(3)
    mode = mode_of(layer.scatterAlongAxis, context)

    def scatter(container: Tensor, where: Tensor, updates: Tensor) -> Tensor:
        axis = axis_of(int(layer.scatterAlongAxis.axis), container.dim(), context)
        expect_along(container.shape, where.shape, axis, context)
        expect_updates(updates.shape, where.shape, context)
        return scattered(container, axis, indices(where, container.shape[axis]), updates, mode)

    return Function(scatter)
