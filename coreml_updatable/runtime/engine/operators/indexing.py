"""Operations that read or write at indices."""

# ruff: noqa: ARG001 - every rule has the same four arguments

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from coreml_updatable.runtime.engine.onnx_graph import UnsupportedError, Writer
from coreml_updatable.runtime.engine.operators._rules import (
    Args,
    Kwargs,
    argument,
    dtype_of,
    name_of,
    reshaped,
    rule,
    shape_of,
)


@rule("index_select")
def index_select(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return writer.emit("Gather", args[0], args[2], axis=args[1] % max(1, len(shape_of(node, 0))))


@rule("embedding")
def embedding(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return writer.emit("Gather", args[0], args[1], axis=0)


@rule("gather")
def gather(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return writer.emit("GatherElements", args[0], args[2], axis=args[1] % len(shape_of(node)))


@rule("index")
def index(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    """Write an index over adjacent axes, with full axes before and after them."""
    named, together = _indexed_axes(node, args)
    if len(named) == 1:
        return writer.emit("Gather", args[0], args[1][named[0]], axis=named[0])
    indices = _rows_of(writer, [args[1][axis] for axis in named], together)
    rank, first = len(shape_of(node, 0)), named[0]
    value = args[0]
    if first:
        order = [*named, *range(first), *range(named[-1] + 1, rank)]
        value = writer.emit("Transpose", value, perm=order)
    result = writer.emit("GatherND", value, indices)
    if not first:
        return result
    count = len(together)
    return writer.emit(
        "Transpose",
        result,
        perm=[*range(count, count + first), *range(count), *range(count + first, len(shape_of(node)))],
    )


def _indexed_axes(node: fx.Node, args: Args) -> tuple[list[int], list[int]]:
    """Return the indexed axes, which must be adjacent, and the shape to which the indices are broadcast."""
    named = [axis for axis, item in enumerate(args[1]) if item is not None]
    if not named or named != list(range(named[0], named[-1] + 1)):
        raise UnsupportedError("indices on axes that lie apart")
    listed: Any = node.args[1]
    indices = [one if isinstance(one := args[1][axis], Tensor) else listed[axis].meta["val"] for axis in named]
    if any(index.dtype == torch.bool for index in indices):
        raise UnsupportedError("indices that are truth values")
    return named, list(torch.broadcast_shapes(*(index.shape for index in indices)))


SCATTERED = {"scatter": "none", "scatter_add": "add"}
REDUCED = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min", "add": "add", "multiply": "mul"}


@rule("scatter", "scatter_add", "scatter_reduce")
def scatter(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    name = name_of(node)
    how = SCATTERED.get(name, "")
    result = argument(args, kwargs, 4, "reduce") if name != "scatter_add" else None
    if result is not None:
        how = REDUCED.get(result, "")
    if not how or not argument(args, kwargs, 5, "include_self", True):
        raise UnsupportedError(f"{name} by {result}")
    values = args[3]
    if isinstance(values, bool | int | float) or (isinstance(values, Tensor) and not values.dim()):
        shape = writer.integers(shape_of(node, 2))
        values = writer.emit("Expand", torch.as_tensor(values, dtype=dtype_of(node)), shape)
    kept = {"axis": args[1] % len(shape_of(node)), "reduction": how}
    return writer.emit("ScatterElements", args[0], args[2], values, **kept)


@rule("index_put", "_unsafe_index_put")
def index_put(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    """Write an assignment to adjacent indexed axes, which are moved to the front and back."""
    named, together = _indexed_axes(node, args)
    indices = _rows_of(writer, [args[1][axis] for axis in named], together)
    shape, first, last, count = shape_of(node), named[0], named[-1] + 1, len(together)
    put = writer.emit("Expand", args[2], writer.integers([*shape[:first], *together, *shape[last:]]))
    value, order = args[0], [*named, *range(first), *range(last, len(shape))]
    if first:
        value = writer.emit("Transpose", value, perm=order)
        rest = range(first + count, count + len(shape) - len(named))
        put = writer.emit("Transpose", put, perm=[*range(first, first + count), *range(first), *rest])
    how = "add" if argument(args, kwargs, 3, "accumulate", False) else "none"
    result = writer.emit("ScatterND", value, indices, put, reduction=how)
    return writer.emit("Transpose", result, perm=[order.index(axis) for axis in range(len(shape))]) if first else result


def _rows_of(writer: Writer, indices: Sequence[Any], together: Sequence[int]) -> Any:
    """Return the indices of several axes stacked as [*together, axes]."""
    columns = [
        reshaped(writer, writer.emit("Expand", position, writer.integers(together)), [*together, 1])
        for position in indices
    ]
    return writer.emit("Concat", *columns, axis=len(together))
