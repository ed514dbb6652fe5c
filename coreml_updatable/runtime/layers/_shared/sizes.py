"""Indices, counts and shapes: integers that blobs carry as floats, checked before anything is allocated.

A fraction is cut off, as a cast in C does; the format leaves that open.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from coreml_updatable import bounds
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.shapes import MAX_AXES

BYTES = 4  # of a value


def integers(blob: Tensor, context: Context) -> list[int]:
    """The values of a blob, no more than two for each axis that a blob can have. Where they differ from row to row,
    torch.vmap refuses this, and rows run one by one."""
    if blob.numel() > 2 * MAX_AXES:
        raise context.error(f"reads {blob.numel()} numbers as sizes or positions, expected at most {2 * MAX_AXES}")
    values = blob.flatten().tolist()
    for value in values:
        if not math.isfinite(value):
            raise context.error(f"reads {value} where it needs an integer")
    return [int(value) for value in values]


def integer(blob: Tensor, context: Context) -> int:
    """The value of a blob of one value."""
    expect_single(blob, context)
    return integers(blob, context)[0]


def expect_single(blob: Tensor, context: Context) -> None:
    if blob.numel() != 1:
        raise context.error(f"reads a blob of the shape {list(blob.shape)} where it needs a single number")


def indices(blob: Tensor, size: int) -> Tensor:
    """Return indices along an axis of ``size``, int64; negative ones count from the end. IndexError if out of range."""
    return torch.arange(size)[blob.long()]


def axis_of(axis: int, rank: int, context: Context) -> int:
    """Return ``axis`` counted from the front; ModelError unless -rank <= axis < rank."""
    if not -rank <= axis < rank:
        raise context.error(f"axis is {axis}, expected {-rank} to {rank - 1} for an input of rank {rank}")
    return axis % rank


def expect_shape(shape: Sequence[int], context: Context) -> list[int]:
    """Return ``shape`` if a blob can have it: no size below 1, and no more values than a run may hold (``bounds``)."""
    if not len(shape) or min(shape) < 1:
        raise context.error(f"makes a blob of the shape {list(shape)}, expected sizes of at least 1")
    expect_room(math.prod(shape), context)
    return [int(size) for size in shape]


def expect_room(values: int, context: Context) -> None:
    """Raise TooMuchError unless a run can hold a blob of so many values."""
    bounds.expect(BYTES * values, context.where)
