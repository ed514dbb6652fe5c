"""sliceBySize: y = x[..., begin : begin + size, ...] along ``axis``. ``SliceBySizeLayerParams``.

Inputs: x, begin [1]. A negative begin counts from the end, which the format leaves open; the slice must lie inside x.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of, expect_single, indices
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(2)
    size = int(layer.sliceBySize.size)

    def sliced(x: Tensor, begin: Tensor) -> Tensor:
        axis = axis_of(int(layer.sliceBySize.axis), x.dim(), context)
        expect_single(begin, context)
        if not 1 <= size <= x.shape[axis]:
            raise context.error(f"takes {size} of {x.shape[axis]} along axis {axis}, expected 1 to {x.shape[axis]}")
        at = indices(begin.reshape(1), x.shape[axis]) + torch.arange(size)
        return x.index_select(axis, at)

    return Function(sliced)
