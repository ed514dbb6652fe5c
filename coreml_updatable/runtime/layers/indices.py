"""Layers that convert between values and indices along an axis.

argMax, argMin: the index of the largest or smallest value along ``axis``. x [A, D, B] -> [A, 1, B]; with ``removeDim``
[A, B], unless x has rank 1. If values are equal, the first counts; the format leaves that open.

argSort: the indices that sort the input along ``axis``, ascending or descending. The output has the shape of x. Equal
values keep their order; the format leaves that open.

topK: the k largest or smallest values along ``axis`` and their indices, the most extreme first. x [A, D, B] -> values
[A, k, B], indices [A, k, B]. A second input [1] can provide k instead of the message. Equal values keep their order;
the format leaves that open.

whereNonZero: the indices of all values that are not 0, in row-major order. x of rank R -> [N, R], one multi-index per
row. N depends on the values, and is 0 if all are 0.

oneHot: adds an axis with ``onValue`` at the given index and ``offValue`` elsewhere. indices [A, B] -> [A,
oneHotVectorSize, B]; the new axis is ``axis`` of the output. An index that is negative or too large gives ``offValue``
everywhere. A second input [1] can provide the size instead of the message.
"""

from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Formula, function_of
from coreml_updatable.runtime.layers._shared.sizes import axis_of, expect_shape, integer
from coreml_updatable.spec.messages import NeuralNetworkLayer


def _arg_extreme(params: Any, context: Context, x: Tensor) -> Tensor:
    axis = axis_of(int(params.axis), x.dim(), context)
    function = torch.argmax if context.kind == "argMax" else torch.argmin
    return function(x, axis, keepdim=not params.removeDim or x.dim() == 1).to(x.dtype)


def _arg_sort(params: Any, context: Context, x: Tensor) -> Tensor:
    axis = axis_of(int(params.axis), x.dim(), context)
    return torch.sort(x, dim=axis, stable=True, descending=params.descending).indices.to(x.dtype)


def _top_k(params: Any, context: Context, x: Tensor, *dynamic: Tensor) -> tuple[Tensor, Tensor]:
    axis = axis_of(int(params.axis), x.dim(), context)
    k = integer(dynamic[0], context) if dynamic else int(params.K)
    if not 1 <= k <= x.shape[axis]:
        raise context.error(f"takes the top {k} of {x.shape[axis]} values, expected 1 to {x.shape[axis]}")
    values, places = torch.sort(x, dim=axis, stable=True, descending=not params.useBottomK)
    return values.narrow(axis, 0, k), places.narrow(axis, 0, k).to(x.dtype)


def _where_non_zero(_params: Any, _context: Context, x: Tensor) -> Tensor:
    return torch.nonzero(x).to(x.dtype)


def _one_hot(params: Any, context: Context, indices: Tensor, *dynamic: Tensor) -> Tensor:
    size = integer(dynamic[0], context) if dynamic else int(params.oneHotVectorSize)
    axis = axis_of(int(params.axis), indices.dim() + 1, context)
    expect_shape([*indices.shape, size], context)
    places = torch.arange(size).reshape(size, *(1 for _ in indices.shape[axis:]))
    on, off = (torch.tensor(value, dtype=indices.dtype) for value in (params.onValue, params.offValue))
    return torch.where(indices.long().unsqueeze(axis) == places, on, off)


FORMULAS: dict[str, Formula] = {
    "argMax": _arg_extreme,
    "argMin": _arg_extreme,
    "argSort": _arg_sort,
    "topK": _top_k,
    "whereNonZero": _where_non_zero,
    "oneHot": _one_hot,
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    return function_of(context, FORMULAS)
