"""Slices as sliceStatic and sliceDynamic have them: begin, end and stride on every axis, with masks."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coreml_updatable.runtime.layers._shared.context import Context


@dataclass(frozen=True)
class Section:
    """x[begins:ends:strides]; a mask set means from the start, or to the end.

    ``squeezes`` takes the one element at begin, whatever its mask, and drops the axis.
    """

    begins: Sequence[int]
    ends: Sequence[int]
    strides: Sequence[int]
    begin_masks: Sequence[bool]
    end_masks: Sequence[bool]
    squeezes: Sequence[bool]


def cut(x: Tensor, section: Section, context: Context) -> Tensor:
    """The section of ``x``, each of whose lists has one entry an axis; [1] if every axis is dropped."""
    for axis in reversed(range(x.dim())):
        begin, end, stride = section.begins[axis], section.ends[axis], section.strides[axis]
        size = x.shape[axis]
        if section.squeezes[axis]:
            if not -size <= begin < size:
                raise context.error(f"takes element {begin} of axis {axis}, which has the size {size}")
            x = x.select(axis, begin)
            continue
        start, stop = None if section.begin_masks[axis] else begin, None if section.end_masks[axis] else end
        if stride == 0:
            raise context.error(f"has the stride 0 on axis {axis}, expected another number")
        if (start, stop, stride) != (None, None, 1):
            x = _along(x, axis, slice(start, stop, stride))
    return x if x.dim() else x.reshape(1)


def _along(x: Tensor, axis: int, section: slice) -> Tensor:
    if section.step < 0:
        return x.index_select(axis, torch.tensor(range(*section.indices(x.shape[axis])), dtype=torch.long))
    return x[(slice(None),) * axis + (section,)]
