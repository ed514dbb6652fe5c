"""slice: x[startIndex:endIndex:stride] along C, H or W, as in NumPy. ``SliceLayerParams``. The stride is positive."""

from torch import Tensor, nn

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer

AXES = (-3, -2, -1)  # CHANNEL_AXIS, HEIGHT_AXIS, WIDTH_AXIS


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    params = layer.slice
    section = slice(int(params.startIndex), int(params.endIndex), int(params.stride))
    if section.step < 1 or params.axis not in range(len(AXES)):
        raise ModelError(
            f"{context.where}: stride {section.step} along axis {params.axis}, expected a stride of at least 1 along "
            "axis 0, 1 or 2; export the model again"
        )
    axis = AXES[params.axis]

    def cut(x: Tensor) -> Tensor:
        context.expect_rank(x, -axis)
        size = x.shape[axis]
        if not len(range(*section.indices(size))):
            raise context.error(
                f"axis {axis} of the input has the size {size}, which has no part {section.start}:{section.stop}"
            )
        return x.movedim(axis, 0)[section].movedim(0, axis)

    return Function(cut)
