"""The same values in another order.

permute: reorders the axes Seq, C, H, W of x [Seq, B, C, H, W]; B stays second. Of these four axes, axis i of the output
is axis ``axis[i]`` of the input. The format requires rank 5; an order that leaves Seq in place also works for ranks 3
and 4.

transpose: axis i of the output is axis ``axes[i]`` of the input. If the input has one more axis than ``axes`` and its
first axis has size 1, that axis stays in place: a picture arrives as [1, C, H, W], and coremltools'
``make_image_input`` inserts the order [1, 2, 0].

reverse: reverses the order along each axis whose flag is set, as in numpy.flip. x has any shape.

reverseSeq: reverses the first ``lengths[b]`` steps of each sequence b and keeps the rest. x has B sequences along
``batchAxis`` and T steps along ``sequenceAxis``; lengths is [B], with values from 0 to T. The output has the shape of
x.

reorganizeData: moves data between the channels and blocks of b x b pixels. SPACE_TO_DEPTH: x [..., C, H, W] -> [..., b
b C, H / b, W / b]; channel (i b + j) C + c contains pixel (i, j) of each block of channel c. DEPTH_TO_SPACE is its
inverse. PIXEL_SHUFFLE expects the channels in the order c b b + i b + j.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Formula, function_of
from coreml_updatable.runtime.layers._shared.sizes import axis_of
from coreml_updatable.spec.messages import NeuralNetworkLayer

PLACES = (-5, -3, -2, -1)  # Seq, C, H, W
SPACE_TO_DEPTH, DEPTH_TO_SPACE, PIXEL_SHUFFLE = 0, 1, 2


def _order(params: Any) -> list[int]:
    return [int(axis) for axis in params.axis] or [0, 1, 2, 3]


def _permute(params: Any, context: Context, x: Tensor) -> Tensor:
    order = _order(params)
    context.expect_rank(x, 3 if order[0] == 0 else 5)
    axes = list(range(x.dim()))
    for place, axis in zip(PLACES, order, strict=True):
        if place >= -x.dim():
            axes[place] = x.dim() + PLACES[axis]
    return x.permute(axes)


def _transpose(params: Any, _context: Context, x: Tensor) -> Tensor:
    axes = [int(axis) for axis in params.axes]
    if x.dim() == len(axes) + 1 and x.shape[0] == 1:
        axes = [0, *(axis + 1 if axis >= 0 else axis for axis in axes)]
    return x.permute(axes)


def _reverse(params: Any, context: Context, x: Tensor) -> Tensor:
    flags = params.reverseDim
    if x.dim() != len(flags):
        raise context.error(f"input has rank {x.dim()}, the layer expects {len(flags)}")
    return torch.flip(x, [axis for axis, flag in enumerate(flags) if flag])


def _reverse_sequences(params: Any, context: Context, x: Tensor, lengths: Tensor) -> Tensor:
    batch = axis_of(int(params.batchAxis), x.dim(), context)
    sequence = axis_of(int(params.sequenceAxis), x.dim(), context)
    if batch == sequence:
        raise context.misfit(f"axis {batch} is both the batch axis and the sequence axis")
    if lengths.numel() != x.shape[batch]:
        raise context.error(f"has {lengths.numel()} lengths, expected {x.shape[batch]}, one per sequence")
    along = [1] * x.dim()
    along[batch] = x.shape[batch]
    ends = lengths.long().reshape(along)
    along[batch], along[sequence] = 1, x.shape[sequence]
    steps = torch.arange(x.shape[sequence]).reshape(along)
    return torch.gather(x, sequence, torch.where(steps < ends, ends - 1 - steps, steps).expand(x.shape))


def _reorganize(params: Any, context: Context, x: Tensor) -> Tensor:
    context.expect_rank(x, 3)
    channels, height, width = x.shape[-3:]
    size = int(params.blockSize)
    if params.mode == SPACE_TO_DEPTH:
        if height % size or width % size:
            raise context.error(f"input has the shape {list(x.shape)}, which blocks of {size} x {size} do not fill")
        blocks = x.reshape(-1, channels, height // size, size, width // size, size).permute(0, 3, 5, 1, 2, 4)
        return blocks.reshape(*x.shape[:-3], size**2 * channels, height // size, width // size)
    if channels % size**2:
        raise context.error(f"input has {channels} channels, the layer expects a multiple of {size**2}")
    if params.mode == PIXEL_SHUFFLE:
        return functional.pixel_shuffle(x, size)
    pixels = x.reshape(-1, size, size, channels // size**2, height, width).permute(0, 3, 4, 1, 5, 2)
    return pixels.reshape(*x.shape[:-3], channels // size**2, height * size, width * size)


FORMULAS: dict[str, Formula] = {
    "permute": _permute,
    "transpose": _transpose,
    "reverse": _reverse,
    "reverseSeq": _reverse_sequences,
    "reorganizeData": _reorganize,
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    if context.kind == "permute" and sorted(_order(layer.permute)) != [0, 1, 2, 3]:
        raise context.misfit(f"axis is {_order(layer.permute)}, expected an order of 0, 1, 2, 3")
    if context.kind == "reorganizeData":
        params = layer.reorganizeData
        if params.blockSize < 2 or params.mode not in (SPACE_TO_DEPTH, DEPTH_TO_SPACE, PIXEL_SHUFFLE):
            raise context.misfit(
                f"mode {params.mode} with blockSize {params.blockSize}, expected mode 0, 1 or 2 and at least 2"
            )
    return function_of(context, FORMULAS)
