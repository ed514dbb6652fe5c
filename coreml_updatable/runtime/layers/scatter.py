"""scatter: y = container, then y[..., indices[i], ...] = or += ... updates[..., i, ...]. ``ScatterLayerParams``.

container [A, D, B], indices [I], updates [A, I, B] -> [A, D, B] along ``axis`` (each letter any number of axes, D one).
Negative indices count from the end. Of several updates to one place, SCATTER_UPDATE keeps the last.
"""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.scattering import expect_updates, mode_of, scattered
from coreml_updatable.runtime.layers._shared.sizes import axis_of, indices
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(3)
    mode = mode_of(layer.scatter, context)

    def scatter(container: Tensor, where: Tensor, updates: Tensor) -> Tensor:
        axis = axis_of(int(layer.scatter.axis), container.dim(), context)
        before, after = container.shape[:axis], container.shape[axis + 1 :]
        expect_updates(updates.shape, (*before, *where.shape, *after), context)
        count = where.numel()
        flat = updates.reshape(*before, count, *after)
        at = indices(where, container.shape[axis]).reshape(count, *(1 for _ in after)).expand(flat.shape)
        return scattered(container, axis, at, flat, mode)

    return Function(scatter)
