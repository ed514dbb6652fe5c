"""gatherAlongAxis: y[i, j, k] = x[i, indices[i, j, k], k], ``axis`` being 1. ``GatherAlongAxisLayerParams``.

x [A, D, B], indices [A, I, B] -> [A, I, B], as numpy.take_along_axis. Negative indices count from the end.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of, indices
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(2)

    def gather(x: Tensor, where: Tensor) -> Tensor:
        axis = axis_of(int(layer.gatherAlongAxis.axis), x.dim(), context)
        expect_along(x.shape, where.shape, axis, context)
        return torch.gather(x, axis, indices(where, x.shape[axis]))

    return Function(gather)


def expect_along(data: Sequence[int], where: Sequence[int], axis: int, context: Context) -> None:
    """ModelError unless the indices have the shape of the data, but for ``axis``."""
    if len(where) != len(data) or any(a != b for at, (a, b) in enumerate(zip(data, where, strict=True)) if at != axis):
        raise context.error(f"indices have the shape {list(where)}, expected {list(data)} in all but axis {axis}")
