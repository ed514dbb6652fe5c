"""Operations over axes: reductions, matrix products, sorting, softmax, normalization."""

# ruff: noqa: ARG001 - every rule has the same four arguments

import math
from typing import Any

import torch
from torch import Tensor, fx

from coreml_updatable.runtime.engine.onnx_graph import UnsupportedError, ValueName, Writer
from coreml_updatable.runtime.engine.operators._rules import (
    Args,
    Kwargs,
    argument,
    axes_of,
    dtype_of,
    name_of,
    reshaped,
    rule,
    shape_of,
    tensor,
)

REDUCING = {
    "sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "amax": "ReduceMax", "amin": "ReduceMin",
    "logsumexp": "ReduceLogSumExp",
}  # fmt: skip


@rule(*REDUCING)
def reducing(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    rank = len(shape_of(node, 0))
    overall = len(args) == 1 or (isinstance(args[1], Tensor))
    axes = axes_of(None if overall else args[1], rank)
    keep = bool(argument(args, kwargs, 2, "keepdim", False))
    value = tensor(writer, args[0], node, 0, dtype_of(node))
    if not rank:
        return value
    return writer.emit(REDUCING[name_of(node)], value, writer.integers(axes), keepdims=int(keep))


@rule("any", "all")
def any_all(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    axes = axes_of(args[1] if len(args) > 1 else None, len(shape_of(node, 0)))
    value = writer.cast(tensor(writer, args[0], node, 0, torch.bool), torch.bool, torch.int32)
    kind = "ReduceMax" if name_of(node) == "any" else "ReduceMin"
    keep = int(bool(argument(args, kwargs, 2, "keepdim", False)))
    return writer.cast(writer.emit(kind, value, writer.integers(axes), keepdims=keep), torch.int32, torch.bool)


@rule("linalg_vector_norm", "norm")
def norm(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    order = argument(args, kwargs, 1, "ord", 2)
    kinds = {1.0: "ReduceL1", 2.0: "ReduceL2"}
    if order is None or float(order) not in kinds:
        raise UnsupportedError(f"the norm of order {order}")
    axes = axes_of(argument(args, kwargs, 2, "dim"), len(shape_of(node, 0)))
    keep = int(bool(argument(args, kwargs, 3, "keepdim", False)))
    return writer.emit(kinds[float(order)], args[0], writer.integers(axes), keepdims=keep)


@rule("argmax", "argmin")
def arg(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    kind = "ArgMax" if name_of(node) == "argmax" else "ArgMin"
    axis, keep = argument(args, kwargs, 1, "dim"), int(bool(argument(args, kwargs, 2, "keepdim", False)))
    if axis is not None:
        return writer.emit(kind, args[0], axis=axis % len(shape_of(node, 0)), keepdims=keep)
    flat = reshaped(writer, args[0], [math.prod(shape_of(node, 0))])
    return reshaped(writer, writer.emit(kind, flat, axis=0, keepdims=0), shape_of(node))


@rule("cumsum")
def cumsum(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    value = tensor(writer, args[0], node, 0, dtype_of(node))
    return writer.emit("CumSum", value, torch.tensor(args[1] % len(shape_of(node)), dtype=torch.int64))


@rule("topk", "sort")
def topk(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    """Write a top-k in which equal values keep their order."""
    shape, name = shape_of(node, 0), name_of(node)
    if name == "topk":
        count, axis, largest = (
            args[1],
            argument(args, kwargs, 2, "dim", -1),
            bool(argument(args, kwargs, 3, "largest", True)),
        )
    else:
        places = {"stable": (2, 3)}.get(node.target._overloadname, (1, 2))  # type: ignore[union-attr]  # the target of an operation is an overload
        axis, largest = (
            argument(args, kwargs, places[0], "dim", -1),
            bool(argument(args, kwargs, places[1], "descending", False)),
        )
        count = shape[axis]
    kept = {"axis": axis % len(shape), "largest": int(largest), "sorted": 1}
    return writer.emit("TopK", args[0], writer.integers([count]), outputs=2, **kept)


@rule("max", "min")
def extreme(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    name = name_of(node)
    if len(args) == 1:
        axes = writer.integers(range(len(shape_of(node, 0))))
        return writer.emit("ReduceMax" if name == "max" else "ReduceMin", args[0], axes, keepdims=0)
    axis, keep = args[1] % len(shape_of(node, 0)), int(bool(argument(args, kwargs, 2, "keepdim", False)))
    kinds = ("ReduceMax", "ArgMax") if name == "max" else ("ReduceMin", "ArgMin")
    values = writer.emit(kinds[0], args[0], writer.integers([axis]), keepdims=keep)
    return values, writer.emit(kinds[1], args[0], axis=axis, keepdims=keep)


@rule("mm", "bmm", "matmul", "mv", "dot")
def matmul(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return writer.emit("MatMul", args[0], args[1])


@rule("addmm", "baddbmm", "addmv")
def addmm(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    if kwargs.get("beta", 1) != 1 or kwargs.get("alpha", 1) != 1:
        raise UnsupportedError("a product with factors")
    return writer.emit("Add", writer.emit("MatMul", args[1], args[2]), args[0])


@rule("_softmax", "_log_softmax")
def softmax(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    kind = "Softmax" if name_of(node) == "_softmax" else "LogSoftmax"
    return writer.emit(kind, args[0], axis=args[1] % max(1, len(shape_of(node))))


@rule("native_layer_norm")
def layer_norm(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    shape, axes = list(args[1]), len(args[1])
    scale = torch.ones(shape) if args[2] is None else args[2]
    bias = torch.zeros(shape) if args[3] is None else args[3]
    result = writer.emit("LayerNormalization", args[0], scale, bias, axis=-axes, epsilon=float(args[4]))
    return result, None, None


@rule("native_batch_norm", "_native_batch_norm_legit_no_training", "_native_batch_norm_legit")
def batch_norm(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    training = name_of(node) != "_native_batch_norm_legit_no_training" and bool(args[5])
    if training or isinstance(args[3], ValueName) or args[3] is None:
        raise UnsupportedError("a normalization over the batch")
    channels = shape_of(node, 0)[1]
    scale = torch.ones(channels) if args[1] is None else args[1]
    bias = torch.zeros(channels) if args[2] is None else args[2]
    epsilon = float(args[-1])
    return writer.emit("BatchNormalization", args[0], scale, bias, args[3], args[4], epsilon=epsilon), None, None
