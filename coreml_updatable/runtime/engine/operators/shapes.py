"""Operations that rearrange or fill: reshapes, slices, concatenation, padding."""

# ruff: noqa: ARG001 - every rule has the same four arguments

from typing import Any

import torch
from torch import fx

from coreml_updatable.runtime.engine.onnx_graph import UnsupportedError, ValueName, Writer
from coreml_updatable.runtime.engine.operators._rules import (
    Args,
    Kwargs,
    argument,
    dtype_of,
    name_of,
    reshaped,
    rule,
    shape_of,
    sliced,
)


@rule("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "unflatten", "_reshape_alias", "view_copy")
def reshape(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return reshaped(writer, args[0], shape_of(node))


@rule("expand", "broadcast_to", "expand_copy")
def expand(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    if shape_of(node) == shape_of(node, 0):
        return args[0]
    return writer.emit("Expand", args[0], writer.integers(shape_of(node)))


@rule("permute")
def permute(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    rank = len(shape_of(node))
    return writer.emit("Transpose", args[0], perm=[axis % rank for axis in args[1]])


@rule("transpose", "t", "numpy_T")
def transpose(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    rank = len(shape_of(node))
    order = list(range(rank))
    first, second = (args[1] % rank, args[2] % rank) if len(args) > 2 else (0, rank - 1)
    if rank > 1:
        order[first], order[second] = order[second], order[first]
    return writer.emit("Transpose", args[0], perm=order)


@rule("slice")
def slice_(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    axis, step = argument(args, kwargs, 1, "dim", 0), argument(args, kwargs, 4, "step", 1)
    size = shape_of(node, 0)[axis]
    start, end, step = slice(argument(args, kwargs, 2, "start"), argument(args, kwargs, 3, "end"), step).indices(size)
    return sliced(writer, args[0], axis % len(shape_of(node)), start, end, step)


@rule("narrow")
def narrow(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    start = args[2] % max(1, shape_of(node, 0)[args[1]])
    return sliced(writer, args[0], args[1] % len(shape_of(node)), start, start + args[3])


@rule("select")
def select(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    axis, size = args[1], shape_of(node, 0)[args[1]]
    index = args[2] % size
    return reshaped(writer, sliced(writer, args[0], axis % len(shape_of(node, 0)), index, index + 1), shape_of(node))


@rule("split", "split_with_sizes", "chunk", "unbind", "tensor_split")
def split(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    parts, whole = node.meta["val"], shape_of(node, 0)
    unbinding = name_of(node) == "unbind"
    axis = (argument(args, kwargs, 1 if unbinding else 2, "dim", 0)) % len(whole)
    result, start = [], 0
    for part in parts:
        length = 1 if unbinding else part.shape[axis]
        piece = sliced(writer, args[0], axis, start, start + length)
        result.append(reshaped(writer, piece, part.shape) if unbinding else piece)
        start += length
    return tuple(result)


@rule("cat")
def cat(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    axis, parts = argument(args, kwargs, 1, "dim", 0), []
    listed: Any = node.args[0]
    for item, value in zip(listed, args[0], strict=True):
        result = item.meta["val"] if isinstance(item, fx.Node) and "val" in item.meta else value
        if list(result.shape) != [0]:  # torch accepts an empty vector, whatever the ranks of the others
            parts.append(writer.cast(value, result.dtype, dtype_of(node)))
    return writer.emit("Concat", *parts, axis=axis % len(shape_of(node)))


@rule("stack")
def stack(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    shape, axis = shape_of(node), argument(args, kwargs, 1, "dim", 0)
    shape[axis] = 1
    return writer.emit("Concat", *(reshaped(writer, item, shape) for item in args[0]), axis=axis % len(shape))


@rule("flip")
def flip(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    result, rank = args[0], len(shape_of(node))
    for axis in args[1]:  # none: nothing is flipped
        result = sliced(writer, result, axis % rank, -1, -(2**31), -1)
    return result


@rule("repeat")
def repeat(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    missing = len(args[1]) - len(shape_of(node, 0))
    value = reshaped(writer, args[0], [1] * missing + shape_of(node, 0)) if missing else args[0]
    return writer.emit("Tile", value, writer.integers(args[1]))


@rule("tril", "triu")
def triangle(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    diagonal = torch.tensor(argument(args, kwargs, 1, "diagonal", 0), dtype=torch.int64)
    return writer.emit("Trilu", args[0], diagonal, upper=int(name_of(node) == "triu"))


PADS = {
    "constant_pad_nd": "constant",
    "reflection_pad1d": "reflect", "reflection_pad2d": "reflect", "reflection_pad3d": "reflect",
    "replication_pad1d": "edge", "replication_pad2d": "edge", "replication_pad3d": "edge",
}  # fmt: skip


@rule(*PADS)
def pad(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    rank, amounts = len(shape_of(node)), list(args[1])
    before, after = [0] * rank, [0] * rank
    for index, (low, high) in enumerate(zip(amounts[::2], amounts[1::2], strict=True), start=1):
        before[-index], after[-index] = low, high
    mode, value = PADS[name_of(node)], []
    if mode == "constant":
        value = [torch.tensor(argument(args, kwargs, 2, "value", 0), dtype=dtype_of(node))]
    return writer.emit("Pad", args[0], writer.integers([*before, *after]), *value, mode=mode)


@rule(
    "full", "full_like", "zeros", "zeros_like", "ones", "ones_like", "new_zeros", "new_ones", "new_full", "empty_like"
)
def filled(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    name = name_of(node)
    value: Any = 1 if "ones" in name else 0
    if name in ("full", "full_like"):
        value = argument(args, kwargs, 1, "fill_value")
    elif name == "new_full":
        value = args[2]
    if isinstance(value, ValueName):
        raise UnsupportedError(f"{name} with a value that is computed")
    return writer.emit("Expand", torch.as_tensor(value, dtype=dtype_of(node)), writer.integers(shape_of(node)))
