"""crop: cuts the borders off H and W. ``CropLayerParams``.

One input x [..., C, H, W]: less ``cropAmounts`` on each side. Two inputs: as high and wide as the second, from
``offset`` on. An offset that is not set is [0, 0].
"""

from collections.abc import Sequence

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.borders import valid_padding
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    borders = valid_padding(layer.crop.cropAmounts, context)
    offset = [int(amount) for amount in layer.crop.offset] or [0, 0]
    context.expect_inputs(1, 2)
    if len(offset) != 2:
        raise context.misfit(f"offset has {len(offset)} values, expected 2 (height, width)")

    def crop(x: Tensor, like: Tensor | None = None) -> Tensor:
        context.expect_rank(x, 3)
        if like is None:
            (top, bottom), (left, right) = borders
            ends = (x.shape[-2] - bottom, x.shape[-1] - right)
        else:
            top, left = offset
            ends = (top + like.shape[-2], left + like.shape[-1])
        return _cut(x, (top, left), ends, context)

    return Function(crop)


def _cut(x: Tensor, starts: Sequence[int], ends: Sequence[int], context: Context) -> Tensor:
    for axis, start, end in zip((-2, -1), starts, ends, strict=True):
        if not 0 <= start < end <= x.shape[axis]:
            raise context.error(
                f"axis {axis} of the input has the size {x.shape[axis]}, which has no part {start}:{end}"
            )
        x = x.narrow(axis, start, end - start)
    return x
