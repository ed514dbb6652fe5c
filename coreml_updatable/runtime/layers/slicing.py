"""Select parts of an input.

slice: x[startIndex:endIndex:stride] along C, H or W, as in NumPy. The stride is positive.

sliceStatic: x[begin:end:stride] on every axis, as in NumPy. A mask that is set means from the start, or to the end. A
squeeze mask selects the single element at ``begin``, regardless of the begin mask, and removes the axis.

sliceDynamic: like sliceStatic, but reads begin from an input. Inputs: x and the begin ids, optionally followed by end
ids, strides, begin masks, end masks and squeeze masks, in this order, each with one value per axis; the message
provides those without an input. Values beyond the rank are ignored, because some writers always store five.

sliceBySize: y = x[..., begin : begin + size, ...] along ``axis``. Inputs: x, begin [1]. A negative begin counts from
the end, which the format leaves open; the slice must be within x.

slidingWindows: all windows of ``windowSize`` along ``axis``, ``step`` apart. x [A, L, B] -> [A, M, windowSize, B],
where M = floor((L - windowSize) / step) + 1. The default of step is 1.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Formula, Function, function_of
from coreml_updatable.runtime.layers._shared.sizes import axis_of, expect_shape, expect_single, indices, integers
from coreml_updatable.spec.messages import NeuralNetworkLayer

AXES = (-3, -2, -1)  # CHANNEL_AXIS, HEIGHT_AXIS, WIDTH_AXIS
LISTS = ("begin ids", "end ids", "strides", "begin masks", "end masks", "squeeze masks")
FIELDS = ("endIds", "strides", "beginMasks", "endMasks", "squeezeMasks")


def _slice(params: Any, context: Context) -> Function:
    section = slice(int(params.startIndex), int(params.endIndex), int(params.stride))
    if section.step < 1 or params.axis not in range(len(AXES)):
        raise context.misfit(
            f"stride {section.step} along axis {params.axis}, expected a stride of at least 1 along axis 0, 1 or 2"
        )
    axis = AXES[params.axis]

    def cut(x: Tensor) -> Tensor:
        context.expect_rank(x, -axis)
        size = x.shape[axis]
        if not len(range(*section.indices(size))):
            raise context.error(
                f"axis {axis} of the input has the size {size}, which does not contain {section.start}:{section.stop}"
            )
        return x.movedim(axis, 0)[section].movedim(0, axis)

    return Function(cut)


def _slice_static(params: Any, context: Context) -> Function:
    rank = len(params.beginIds)
    lists = [[int(value) for value in getattr(params, field)] for field in ("beginIds", *FIELDS)]
    if any(len(values) not in (0, rank) for values in lists) or len(lists[1]) != rank:
        raise context.misfit("begins, ends, strides and masks differ in length")

    def sliced(x: Tensor) -> Tensor:
        context.expect_rank(x, rank, rank)
        return _section(x, lists, context)

    return Function(sliced)


def _slice_dynamic(params: Any, context: Context, x: Tensor, *blobs: Tensor) -> Tensor:
    read = [integers(blob, context) for blob in blobs]
    stored = [[int(value) for value in getattr(params, field)] for field in FIELDS]
    return _section(x, read + stored[len(read) - 1 :], context)


def _section(x: Tensor, lists: Sequence[Sequence[int]], context: Context) -> Tensor:
    """x[begin:end:stride] on every axis, with the values of ``LISTS``; [1] if every axis is dropped."""
    rank = x.dim()
    begins, ends, strides, *masks = lists
    full = [begins, ends, strides or [1] * rank, *(mask or [0] * rank for mask in masks)]
    for values, word in zip(full, LISTS, strict=True):
        if len(values) < rank:
            raise context.error(f"has {len(values)} {word} for an input of rank {rank}")
    for axis in reversed(range(rank)):
        begin, end, stride, from_start, to_end, squeezes = (values[axis] for values in full)
        if squeezes:
            if not -x.shape[axis] <= begin < x.shape[axis]:
                raise context.error(f"takes element {begin} of axis {axis}, which has the size {x.shape[axis]}")
            x = x.select(axis, begin)
            continue
        if stride == 0:
            raise context.error(f"has the stride 0 on axis {axis}, expected a stride that is not 0")
        x = _along(x, axis, slice(None if from_start else begin, None if to_end else end, stride))
    return x if x.dim() else x.reshape(1)


def _along(x: Tensor, axis: int, section: slice) -> Tensor:
    if section.step < 0:
        return x.index_select(axis, torch.tensor(range(*section.indices(x.shape[axis])), dtype=torch.long))
    return x if section == slice(None, None, 1) else x[(slice(None),) * axis + (section,)]


def _slice_by_size(params: Any, context: Context, x: Tensor, begin: Tensor) -> Tensor:
    axis, size = axis_of(int(params.axis), x.dim(), context), int(params.size)
    expect_single(begin, context)
    if not 1 <= size <= x.shape[axis]:
        raise context.error(f"takes {size} of {x.shape[axis]} along axis {axis}, expected 1 to {x.shape[axis]}")
    return x.index_select(axis, indices(begin.reshape(1), x.shape[axis]) + torch.arange(size))


def _sliding_windows(params: Any, context: Context, x: Tensor) -> Tensor:
    axis, size, step = axis_of(int(params.axis), x.dim(), context), int(params.windowSize), int(params.step) or 1
    if not 1 <= size <= x.shape[axis]:
        raise context.error(f"windows of {size} on an axis of {x.shape[axis]}, expected 1 to {x.shape[axis]}")
    y = x.unfold(axis, size, min(step, x.shape[axis])).movedim(-1, axis + 1)
    expect_shape(y.shape, context)
    return y


FORMULAS: dict[str, Formula] = {
    "sliceDynamic": _slice_dynamic,
    "sliceBySize": _slice_by_size,
    "slidingWindows": _sliding_windows,
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    if context.kind == "slice":
        return _slice(layer.slice, context)
    return (
        _slice_static(layer.sliceStatic, context) if context.kind == "sliceStatic" else function_of(context, FORMULAS)
    )
