"""Repeat the same values.

tile: repeats the input ``reps[i]`` times along axis i. x [d0, ..., dR] -> [d0 reps0, ..., dR repsR]; if there are fewer
reps than axes, they apply to the last axes. A second input can provide the reps instead of the message.

sequenceRepeat: repeats the whole sequence n times; the default of n is 1. x [Seq, B, C, H, W] -> y [n Seq, B, C, H, W].
The format does not say whether a sequence longer than 1 is repeated as a whole or step by step.

broadcastToLike, broadcastToStatic, broadcastToDynamic: repeats the input to fill a larger shape, as in
numpy.broadcast_to. The shape is that of the second input (Like), ``targetShape`` (Static), or the values of the second
input, a blob [R] (Dynamic).
"""

from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Formula, Function, function_of
from coreml_updatable.runtime.layers._shared.sizes import expect_shape, integers
from coreml_updatable.spec.messages import NeuralNetworkLayer


def _tile(params: Any, context: Context, x: Tensor, *dynamic: Tensor) -> Tensor:
    reps = integers(dynamic[0], context) if dynamic else [int(count) for count in params.reps]
    if not 1 <= len(reps) <= x.dim() or min(reps) < 1:
        raise context.error(f"repeats {reps} times, expected 1 to {x.dim()} counts of at least 1")
    full = [1] * (x.dim() - len(reps)) + reps
    expect_shape([size * count for size, count in zip(x.shape, full, strict=True)], context)
    return x.repeat(full)


def _repeat_sequence(params: Any, context: Context, x: Tensor) -> Tensor:
    count = int(params.nRepetitions) or 1
    context.expect_rank(x, 5)
    expect_shape([count, *x.shape], context)
    return x.repeat([1] * (x.dim() - 5) + [count, 1, 1, 1, 1])


def _broadcast_to_like(_params: Any, _context: Context, x: Tensor, like: Tensor) -> Tensor:
    return torch.broadcast_to(x, like.shape)


def _broadcast_to_dynamic(_params: Any, context: Context, x: Tensor, target: Tensor) -> Tensor:
    return torch.broadcast_to(x, expect_shape(integers(target, context), context))


FORMULAS: dict[str, Formula] = {
    "tile": _tile,
    "sequenceRepeat": _repeat_sequence,
    "broadcastToLike": _broadcast_to_like,
    "broadcastToDynamic": _broadcast_to_dynamic,
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    if context.kind == "broadcastToStatic":
        shape = expect_shape([int(size) for size in layer.broadcastToStatic.targetShape], context)
        return Function(lambda x: torch.broadcast_to(x, shape))
    return function_of(context, FORMULAS)
