"""Join several inputs, or split one.

concat: joins its inputs along axis -3, or along axis -5 if ``sequenceConcat`` is set.

concatND: joins its inputs along ``axis``, one after another or interleaved (a0 b0 a1 b1 ...).

stack: joins inputs of one shape along a new axis. n inputs of rank R -> rank R + 1, with size n at ``axis`` of the
output; a negative axis counts from the end of the output's shape.

split: n equal parts along axis -3, one per output. x [..., C, H, W] -> n outputs [..., C / n, H, W].

splitND: ``numSplits`` parts along ``axis``, or parts of the given ``splitSizes``. x [A, D, B] -> outputs [A, d, B],
whose sizes d add up to D. If ``numSplits`` does not divide D, the first D mod ``numSplits`` parts are longer by one, as
in numpy.array_split.
"""

from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Formula, function_of
from coreml_updatable.runtime.layers._shared.sizes import axis_of
from coreml_updatable.spec.messages import NeuralNetworkLayer


def _concat(params: Any, _context: Context, *inputs: Tensor) -> Tensor:
    return torch.cat(inputs, -5 if params.sequenceConcat else -3)


def _concat_nd(params: Any, context: Context, *inputs: Tensor) -> Tensor:
    axis = axis_of(int(params.axis), inputs[0].dim(), context)
    if not params.interleave:
        return torch.cat(inputs, axis)
    return torch.stack(inputs, axis + 1).flatten(axis, axis + 1)


def _stack(params: Any, context: Context, *inputs: Tensor) -> Tensor:
    shapes = [list(x.shape) for x in inputs]
    if any(shape != shapes[0] for shape in shapes):
        raise context.error(f"inputs have the shapes {shapes}, the layer expects equal ones")
    return torch.stack(inputs, int(params.axis))


def _split(params: Any, context: Context, x: Tensor) -> tuple[Tensor, ...]:
    context.expect_rank(x, 3)
    count = int(params.nOutputs)
    if x.shape[-3] % count:
        raise context.error(f"input has {x.shape[-3]} channels, which cannot be split into {count} outputs")
    return tuple(x.chunk(count, -3))


def _split_nd(params: Any, context: Context, x: Tensor) -> tuple[Tensor, ...]:
    sizes, count = [int(size) for size in params.splitSizes], int(params.numSplits)
    axis = axis_of(int(params.axis), x.dim(), context)
    length = x.shape[axis]
    if sum(sizes) != length if sizes else length < count:
        expected = f"{sum(sizes)} to be split into {sizes}" if sizes else f"at least {count}, one for each part"
        raise context.error(f"axis {axis} of the input has the size {length}, expected {expected}")
    return tuple(torch.split(x, sizes, axis) if sizes else torch.tensor_split(x, count, axis))


FORMULAS: dict[str, Formula] = {
    "concat": _concat,
    "concatND": _concat_nd,
    "stack": _stack,
    "split": _split,
    "splitND": _split_nd,
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    if context.kind in ("split", "splitND"):
        count = int(layer.split.nOutputs or len(layer.splitND.splitSizes) or layer.splitND.numSplits)
        if count < 1 or count != len(layer.output):
            raise context.misfit(f"splits into {count} parts, expected {len(layer.output)}, one per output")
    return function_of(context, FORMULAS)
