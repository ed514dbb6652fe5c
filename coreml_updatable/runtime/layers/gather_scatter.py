"""Read or write the values at the positions that a blob of indices selects. Negative indices count from the end.

gather: y = x[..., indices, ...] along ``axis``, as in numpy.take. x [A, D, B] and indices [I] (D is one axis, the other
letters any number of axes) -> [A, I, B].

gatherND: y[i] = x[indices[i, 0], ..., indices[i, L - 1]]. x [D1, ..., DL, B] and indices [I, L] (I and B are any number
of axes) -> [I, B]. The format does not say what negative indices do here.

gatherAlongAxis: y[i, j, k] = x[i, indices[i, j, k], k] if ``axis`` is 1, as in numpy.take_along_axis. x [A, D, B],
indices [A, I, B] -> [A, I, B].

scatter: y = container, then y[..., indices[i], ...] = (or +=, ...) updates[..., i, ...]. container [A, D, B], indices
[I], updates [A, I, B] -> [A, D, B] along ``axis``. If SCATTER_UPDATE writes a position several times, the last value
remains.

scatterND: y = container, then y[indices[i, 0], ..., indices[i, L - 1]] = (or +=) updates[i]. container [D1, ..., DL,
B], indices [I, L], updates [I, B] (I and B are any number of axes) -> the shape of the container. A comment in the
format says that a negative index takes "the entire slice", but the shape of the updates leaves no room for that.

scatterAlongAxis: y = container, then y[indices[i, j], j] = (or +=) updates[i, j] if ``axis`` is 0, as in
numpy.put_along_axis. container [A, D, B], indices and updates [A, I, B] -> [A, D, B].
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import function_of
from coreml_updatable.runtime.layers._shared.sizes import axis_of, indices
from coreml_updatable.spec.messages import NeuralNetwork_pb2, NeuralNetworkLayer

MODES = NeuralNetwork_pb2.ScatterMode


def _gather(params: Any, context: Context, x: Tensor, where: Tensor) -> Tensor:
    axis = axis_of(int(params.axis), x.dim(), context)
    return x[(slice(None),) * axis + (where.long(),)]


def _gather_nd(_params: Any, context: Context, x: Tensor, where: Tensor) -> Tensor:
    _expect_depth(where, x.dim(), context)
    y = x[where.long().unbind(-1)]
    return y if y.dim() else y.reshape(1)


def _gather_along_axis(params: Any, context: Context, x: Tensor, where: Tensor) -> Tensor:
    axis = axis_of(int(params.axis), x.dim(), context)
    _expect_along(x.shape, where.shape, axis, context)
    return torch.gather(x, axis, indices(where, x.shape[axis]))


def _scatter(params: Any, context: Context, container: Tensor, where: Tensor, updates: Tensor) -> Tensor:
    axis = axis_of(int(params.axis), container.dim(), context)
    before, after = container.shape[:axis], container.shape[axis + 1 :]
    _expect_updates(updates.shape, (*before, *where.shape, *after), context)
    count = where.numel()
    flat = updates.reshape(*before, count, *after)
    places = indices(where, container.shape[axis]).reshape(count, *(1 for _ in after)).expand(flat.shape)
    return _scattered(container, axis, places, flat, params.mode)


def _scatter_nd(params: Any, context: Context, container: Tensor, where: Tensor, updates: Tensor) -> Tensor:
    _expect_depth(where, container.dim(), context)
    depth = where.shape[-1]
    outer, inner = container.shape[:depth], container.shape[depth:]
    _expect_updates(updates.shape, (*where.shape[:-1], *inner), context)
    numbers = torch.arange(math.prod(outer)).reshape(outer)  # of the container's places, so that one index does
    rows = updates.reshape(-1, math.prod(inner))
    places = numbers[where.long().unbind(-1)].reshape(-1, 1).expand(rows.shape)
    flat = _scattered(container.reshape(math.prod(outer), -1), 0, places, rows, params.mode)
    return flat.reshape(container.shape)


def _scatter_along_axis(params: Any, context: Context, container: Tensor, where: Tensor, updates: Tensor) -> Tensor:
    axis = axis_of(int(params.axis), container.dim(), context)
    _expect_along(container.shape, where.shape, axis, context)
    _expect_updates(updates.shape, where.shape, context)
    return _scattered(container, axis, indices(where, container.shape[axis]), updates, params.mode)


def _expect_along(data: Sequence[int], where: Sequence[int], axis: int, context: Context) -> None:
    """ModelError unless the indices have the shape of the data, except along ``axis``."""
    if len(where) != len(data) or [*where[:axis], *where[axis + 1 :]] != [*data[:axis], *data[axis + 1 :]]:
        raise context.error(f"indices have the shape {list(where)}, expected {list(data)} in all but axis {axis}")


def _expect_depth(where: Tensor, rank: int, context: Context) -> None:
    """ModelError unless the multi-indices, the last axis of ``where``, have 1 to ``rank`` places."""
    if not 1 <= where.shape[-1] <= rank:
        raise context.error(f"multi-indices have {where.shape[-1]} places, expected 1 to {rank}")


def _expect_updates(result: Sequence[int], expected: Sequence[int], context: Context) -> None:
    if list(result) != list(expected):
        raise context.error(f"updates have the shape {list(result)}, the layer expects {list(expected)}")


def _scattered(container: Tensor, axis: int, where: Tensor, updates: Tensor, mode: int) -> Tensor:
    """container, with container[..., where[..., i, ...], ...] = or += ... updates[..., i, ...] along ``axis``.

    where (int64, not negative) and updates have one shape, the container's in all but ``axis``. Where an index comes
    twice, both updates count, and SCATTER_UPDATE keeps the last.
    """
    if not updates.numel():
        return container
    match MODES.Name(mode):
        case "SCATTER_ADD":
            return container.scatter_add(axis, where, updates)
        case "SCATTER_SUB":
            return container.scatter_add(axis, where, -updates)
        case "SCATTER_MUL":
            return container.scatter_reduce(axis, where, updates, "prod")
        case "SCATTER_DIV":
            return container / torch.ones_like(container).scatter_reduce(axis, where, updates, "prod")
        case "SCATTER_MAX":
            return container.scatter_reduce(axis, where, updates, "amax")
        case "SCATTER_MIN":
            return container.scatter_reduce(axis, where, updates, "amin")
    shape = [1] * updates.dim()
    shape[axis] = updates.shape[axis]
    numbers = torch.arange(updates.shape[axis]).reshape(shape)
    none = torch.full(container.shape, -1)
    last = none.scatter_reduce(axis, where, numbers.expand(updates.shape), "amax")
    return torch.where(last < 0, container, updates.gather(axis, last.clamp(min=0)))


GATHERS = {"gather": _gather, "gatherND": _gather_nd, "gatherAlongAxis": _gather_along_axis}
SCATTERS = {"scatter": _scatter, "scatterND": _scatter_nd, "scatterAlongAxis": _scatter_along_axis}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    if context.kind in GATHERS:
        return function_of(context, GATHERS)
    if context.params.mode not in MODES.values():
        raise context.unknown(f"the scatter mode {context.params.mode}")
    return function_of(context, SCATTERS)
