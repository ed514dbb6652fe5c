"""slidingWindows: all windows of ``windowSize`` along ``axis``, ``step`` apart. ``SlidingWindowsLayerParams``.

x [A, L, B] -> [A, M, windowSize, B], M = floor((L - windowSize) / step) + 1. A step that is not set is 1.
"""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of, expect_shape
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(1)
    size, step = int(layer.slidingWindows.windowSize), int(layer.slidingWindows.step) or 1

    def windows(x: Tensor) -> Tensor:
        axis = axis_of(int(layer.slidingWindows.axis), x.dim(), context)
        if not 1 <= size <= x.shape[axis]:
            raise context.error(f"windows of {size} on an axis of {x.shape[axis]}, expected 1 to {x.shape[axis]}")
        y = x.unfold(axis, size, min(step, x.shape[axis])).movedim(-1, axis + 1)
        expect_shape(y.shape, context)
        return y

    return Function(windows)
