"""expandDims: new axes of size 1 at the named places of the output. ``ExpandDimsLayerParams``."""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    axes = [int(axis) for axis in layer.expandDims.axes]

    def expand(x: Tensor) -> Tensor:
        rank = x.dim() + len(axes)
        for axis in sorted(axis_of(axis, rank, context) for axis in axes):
            x = x.unsqueeze(axis)
        return x

    return Function(expand)
