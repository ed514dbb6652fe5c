"""Sums, products, means, ... along axes.

reduce: sum, mean, product, ... over C, H, W, HW or CHW. x needs the rank that these axes require; reduced axes keep
size 1. LOGSUM sums ln(x + epsilon); the default of epsilon is 1e-6. ARGMAX reduces a single axis and returns the first
index if values are equal.

reduce?*: sum, mean, product, ... over the named axes, or over all. L1 is the sum of |x|, L2 the root of the sum of
squares, LogSum log(sum x), LogSumExp log(sum exp(x)). If all axes are reduced and ``keepDims`` is not set, the output
has shape [1].

cumSum: y_i = x_0 + ... + x_i along ``axis``; with ``excludeFinalSum``, only up to x_(i - 1). ``reverse`` sums from the
other end. The output has the shape of x. A second input [1] can provide the axis instead of the message.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function, function_of
from coreml_updatable.runtime.layers._shared.sizes import axis_of, integer
from coreml_updatable.spec.messages import NeuralNetworkLayer


def product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    """Over ``axes``, all counted from the same end; torch multiplies along one at a time."""
    for axis in sorted(axes, reverse=True):  # from the last on, so that dropping one moves no other
        x = x.prod(axis, keepdim=keep)
    return x


Reduction = Callable[[Tensor, list[int], bool], Tensor]
REDUCTIONS: dict[str, Reduction] = {
    "Sum": lambda x, axes, keep: x.sum(axes, keepdim=keep),
    "Mean": lambda x, axes, keep: x.mean(axes, keepdim=keep),
    "Prod": product,
    "SumSquare": lambda x, axes, keep: x.square().sum(axes, keepdim=keep),
    "L1": lambda x, axes, keep: x.abs().sum(axes, keepdim=keep),
    "L2": lambda x, axes, keep: x.square().sum(axes, keepdim=keep).sqrt(),
    "Max": lambda x, axes, keep: torch.amax(x, axes, keepdim=keep),
    "Min": lambda x, axes, keep: torch.amin(x, axes, keepdim=keep),
    "LogSum": lambda x, axes, keep: x.sum(axes, keepdim=keep).log(),
    "LogSumExp": lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep),
}
AXES = ([-3, -2, -1], [-2, -1], [-3], [-2], [-1])  # ReduceAxis: CHW, HW, C, H, W
OPERATIONS = ("Sum", "Mean", "Prod", "LOGSUM", "SumSquare", "L1", "L2", "Max", "Min", "ARGMAX")  # ReduceOperation


def _reduce(params: Any, context: Context) -> Function:
    if params.mode not in range(len(OPERATIONS)) or params.axis not in range(len(AXES)):
        raise context.unknown(f"mode {params.mode} or axis {params.axis}")
    operation, axes, epsilon = OPERATIONS[params.mode], AXES[params.axis], params.epsilon or 1e-6
    if operation == "ARGMAX" and len(axes) > 1:
        raise context.misfit(f"ARGMAX over {len(axes)} axes, expected one of C, H, W")

    def reduce(x: Tensor) -> Tensor:
        context.expect_rank(x, -axes[0])
        if operation == "LOGSUM":
            return (x + epsilon).log().sum(axes, keepdim=True)
        if operation == "ARGMAX":
            return x.argmax(axes[0], keepdim=True).to(x.dtype)
        return REDUCTIONS[operation](x, axes, True)

    return Function(reduce)


def _reduce_axes(params: Any, context: Context) -> Function:
    named, keep = [int(axis) for axis in params.axes], params.keepDims
    function = REDUCTIONS[context.kind.removeprefix("reduce")]
    every = params.reduceAll or not named

    def reduce(x: Tensor) -> Tensor:
        axes = list(range(x.dim())) if every else [axis_of(axis, x.dim(), context) for axis in named]
        y = function(x, axes, keep)
        return y if y.dim() else y.reshape(1)

    return Function(reduce)


def _cumulative_sum(params: Any, context: Context, x: Tensor, *dynamic: Tensor) -> Tensor:
    axis = axis_of(integer(dynamic[0], context) if dynamic else int(params.axis), x.dim(), context)
    y = torch.cumsum(x.flip(axis) if params.reverse else x, axis)
    if params.excludeFinalSum:
        first = torch.zeros_like(y.narrow(axis, 0, 1))
        y = torch.cat([first, y.narrow(axis, 0, y.shape[axis] - 1)], axis)
    return y.flip(axis) if params.reverse else y


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    if context.kind == "cumSum":
        return function_of(context, {"cumSum": _cumulative_sum})
    return _reduce(context.params, context) if context.kind == "reduce" else _reduce_axes(context.params, context)
