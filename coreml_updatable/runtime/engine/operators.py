"""Torch's operations in ONNX's words: a rule for each, by the name in torch's own schema.

A rule gets the writer, the recorded node, and its arguments with names or constants in the place of tensors; it answers
the name of what it wrote. All shapes are those of the node; axes may be negative.
"""

# ruff: noqa: ARG001 - every rule has the same four arguments

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx

from coreml_updatable.runtime.engine.onnx_graph import Name, UnsupportedError, Writer
from coreml_updatable.runtime.engine.tracing import borders

Given: TypeAlias = tuple[Any, ...]
More: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Writer, fx.Node, Given, More], Any]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    def known(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return known


def shape_of(node: fx.Node, at: int | None = None) -> list[int]:
    """Of what the node makes, or of its argument ``at``."""
    return list(_value(node, at).shape)


def dtype_of(node: fx.Node, at: int | None = None) -> torch.dtype:
    return _value(node, at).dtype


def _value(node: fx.Node, at: int | None) -> Tensor:
    value: Any = node if at is None else node.args[at]
    if isinstance(value, fx.Node):
        value = value.meta["val"] if "val" in value.meta else _held(value)
    return value[0] if isinstance(value, tuple | list) else value  # type: ignore[no-any-return]


def _held(node: fx.Node) -> Tensor:
    """A constant of the graph."""
    value: Any = node.graph.owning_module
    for name in str(node.target).split("."):
        value = getattr(value, name)
    return value  # type: ignore[no-any-return]


def argument(given: Given, more: More, at: int, name: str, default: Any = None) -> Any:
    return given[at] if len(given) > at else more.get(name, default)


def tensor(writer: Writer, value: Any, node: fx.Node, at: int, dtype: torch.dtype) -> Any:
    """The argument ``at``, a tensor or a number, in ``dtype``."""
    if isinstance(value, bool | int | float):
        return torch.tensor(value, dtype=dtype)
    given = value.dtype if isinstance(value, Tensor) else dtype_of(node, at)
    return writer.cast(value, given, dtype)


def axes_of(axes: Any, rank: int) -> list[int]:
    """Non-negative axes; none named means all."""
    listed = [axes] if isinstance(axes, int) else list(axes or [])
    return sorted(axis % rank for axis in listed) if listed else list(range(rank))


def reshaped(writer: Writer, value: Any, shape: Sequence[int]) -> Any:
    # A size of 0 would mean "as before" without allowzero.
    return writer.emit("Reshape", value, writer.integers(shape), allowzero=1)


# One input, one output, the same values in both languages.
UNARY = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh", "atan": "Atan", "atanh": "Atanh",
    "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "floor": "Floor", "isnan": "IsNaN",
    "log": "Log", "logical_not": "Not", "neg": "Neg", "reciprocal": "Reciprocal", "relu": "Relu", "round": "Round",
    "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip


@rule(*UNARY)
def unary(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    name = _name(node)
    dtype = torch.bool if name == "logical_not" else dtype_of(node, 0) if name == "isnan" else dtype_of(node)
    return writer.emit(UNARY[name], tensor(writer, given[0], node, 0, dtype))


@rule("bitwise_not")
def bitwise_not(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    if dtype_of(node) != torch.bool:
        raise UnsupportedError("bitwise_not of integers")
    return writer.emit("Not", given[0])


@rule("alias", "clone", "contiguous", "detach", "lift_fresh_copy", "lift_fresh")
def same(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return given[0]


@rule("_to_copy")
def to_copy(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return tensor(writer, given[0], node, 0, dtype_of(node))


@rule("rsqrt")
def rsqrt(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return writer.emit("Reciprocal", writer.emit("Sqrt", given[0]))


@rule("square")
def square(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return writer.emit("Mul", given[0], given[0])


@rule("exp2")
def exp2(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return writer.emit("Pow", torch.tensor(2.0), tensor(writer, given[0], node, 0, dtype_of(node)))


@rule("silu")
def silu(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return writer.emit("Mul", given[0], writer.emit("Sigmoid", given[0]))


@rule("gelu")
def gelu(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return writer.emit("Gelu", given[0], approximate=argument(given, more, 1, "approximate", "none"))


@rule("leaky_relu")
def leaky_relu(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return writer.emit("LeakyRelu", given[0], alpha=float(argument(given, more, 1, "negative_slope", 0.01)))


@rule("elu")
def elu(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    if any(float(value) != 1.0 for value in given[2:4]):
        raise UnsupportedError("elu with a scale")
    return writer.emit("Elu", given[0], alpha=float(argument(given, more, 1, "alpha", 1.0)))


@rule("softplus")
def softplus(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    if [float(value) for value in given[1:]] not in ([], [1.0], [1.0, 20.0]):
        raise UnsupportedError("softplus with another beta")
    return writer.emit("Softplus", given[0])


@rule("_prelu_kernel")
def prelu(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return writer.emit("PRelu", given[0], given[1])


@rule("hardtanh", "clamp", "clamp_min", "clamp_max")
def clip(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    name, dtype = _name(node), dtype_of(node)
    if name == "clamp_max":
        low, high = None, argument(given, more, 1, "max")
    else:
        low, high = argument(given, more, 1, "min"), argument(given, more, 2, "max")
    if name == "hardtanh":
        low, high = argument(given, more, 1, "min_val", -1.0), argument(given, more, 2, "max_val", 1.0)
    made = tensor(writer, given[0], node, 0, dtype)
    for kind, limit in (("Max", low), ("Min", high)):
        if isinstance(limit, Name) or (isinstance(limit, Tensor) and limit.dim()):
            made = writer.emit(kind, made, limit)
            low, high = (None, high) if kind == "Max" else (low, None)
    if low is None and high is None:
        return made
    ends = ["" if end is None else torch.as_tensor(end, dtype=dtype) for end in (low, high)]
    return writer.emit("Clip", made, *ends)


BINARY = {
    "add": "Add", "div": "Div", "maximum": "Max", "minimum": "Min", "mul": "Mul", "pow": "Pow", "sub": "Sub",
}  # fmt: skip
COMPARING = {"eq": "Equal", "ge": "GreaterOrEqual", "gt": "Greater", "le": "LessOrEqual", "lt": "Less"}
LOGICAL = {
    "bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor",
    "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor",
}  # fmt: skip


@rule(*BINARY)
def binary(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    name, dtype = _name(node), dtype_of(node)
    first, second = (tensor(writer, given[at], node, at, dtype) for at in (0, 1))
    alpha, rounding = argument(given, more, 2, "alpha", 1), more.get("rounding_mode")
    if name in ("add", "sub") and alpha != 1:
        second = writer.emit("Mul", second, torch.tensor(alpha, dtype=dtype))
    made = writer.emit(BINARY[name], first, second)
    if rounding == "floor":
        return writer.emit("Floor", made)
    if rounding == "trunc":
        return writer.emit("Mul", writer.emit("Sign", made), writer.emit("Floor", writer.emit("Abs", made)))
    return made


@rule("rsub")
def rsub(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    if argument(given, more, 2, "alpha", 1) != 1:
        raise UnsupportedError("rsub with a factor")
    first, second = (tensor(writer, given[at], node, at, dtype_of(node)) for at in (0, 1))
    return writer.emit("Sub", second, first)


@rule("floor_divide")
def floor_divide(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    first, second = (tensor(writer, given[at], node, at, torch.float32) for at in (0, 1))
    return writer.cast(writer.emit("Floor", writer.emit("Div", first, second)), torch.float32, dtype_of(node))


@rule("remainder")
def remainder(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    """The sign is the divisor's."""
    dtype = dtype_of(node)
    first, second = (tensor(writer, given[at], node, at, dtype) for at in (0, 1))
    if not dtype.is_floating_point:
        return writer.emit("Mod", first, second)
    rest = writer.emit("Mod", first, second, fmod=1)
    zero = torch.tensor(0.0, dtype=dtype)
    other = writer.emit("Less", writer.emit("Mul", rest, second), zero)
    return writer.emit("Where", other, writer.emit("Add", rest, second), rest)


@rule("fmod")
def fmod(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    first, second = (tensor(writer, given[at], node, at, dtype_of(node)) for at in (0, 1))
    return writer.emit("Mod", first, second, fmod=1)


@rule(*COMPARING, "ne")
def comparing(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    name = _name(node)
    first, second = _pair(writer, node, given)
    made = writer.emit(COMPARING.get(name, "Equal"), first, second)
    return writer.emit("Not", made) if name == "ne" else made


def _pair(writer: Writer, node: fx.Node, given: Given) -> tuple[Any, Any]:
    """Both inputs in the type that torch compares them in; ONNX compares no truth values by size."""
    examples: list[Any] = [
        one
        if isinstance(one, bool | int | float)
        else torch.empty((1,) * min(1, len(shape_of(node, at))), dtype=dtype_of(node, at))
        for at, one in enumerate(given[:2])
    ]
    dtype = torch.result_type(*examples)
    dtype = torch.int32 if dtype == torch.bool else dtype
    first, second = (tensor(writer, given[at], node, at, dtype) for at in (0, 1))
    return first, second


@rule(*LOGICAL)
def logical(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    name = _name(node)
    if dtype_of(node) != torch.bool:
        raise UnsupportedError(f"{name} of integers")
    first, second = (tensor(writer, given[at], node, at, torch.bool) for at in (0, 1))
    return writer.emit(LOGICAL[name], first, second)


@rule("where")
def where(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    if len(given) != 3:
        raise UnsupportedError("where without values")
    condition = tensor(writer, given[0], node, 0, torch.bool)
    return writer.emit("Where", condition, *(tensor(writer, given[at], node, at, dtype_of(node)) for at in (1, 2)))


@rule("masked_fill")
def masked_fill(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return writer.emit("Where", given[1], tensor(writer, given[2], node, 2, dtype_of(node)), given[0])


@rule("threshold")
def threshold(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    limit, value = (torch.tensor(float(one)) for one in given[1:3])
    return writer.emit("Where", writer.emit("Greater", given[0], limit), given[0], value)


# Shapes.


@rule("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "unflatten", "_reshape_alias", "view_copy")
def reshape(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return reshaped(writer, given[0], shape_of(node))


@rule("expand", "broadcast_to", "expand_copy")
def expand(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    if shape_of(node) == shape_of(node, 0):
        return given[0]
    return writer.emit("Expand", given[0], writer.integers(shape_of(node)))


@rule("permute")
def permute(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    rank = len(shape_of(node))
    return writer.emit("Transpose", given[0], perm=[axis % rank for axis in given[1]])


@rule("transpose", "t", "numpy_T")
def transpose(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    rank = len(shape_of(node))
    order = list(range(rank))
    first, second = (given[1] % rank, given[2] % rank) if len(given) > 2 else (0, rank - 1)
    if rank > 1:
        order[first], order[second] = order[second], order[first]
    return writer.emit("Transpose", given[0], perm=order)


def sliced(writer: Writer, value: Any, axis: int, start: int, end: int, step: int = 1) -> Any:
    return writer.emit("Slice", value, *(writer.integers([one]) for one in (start, end, axis, step)))


@rule("slice")
def slice_(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    axis, step = argument(given, more, 1, "dim", 0), argument(given, more, 4, "step", 1)
    size = shape_of(node, 0)[axis]
    start, end, step = slice(argument(given, more, 2, "start"), argument(given, more, 3, "end"), step).indices(size)
    return sliced(writer, given[0], axis % len(shape_of(node)), start, end, step)


@rule("narrow")
def narrow(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    start = given[2] % max(1, shape_of(node, 0)[given[1]])
    return sliced(writer, given[0], given[1] % len(shape_of(node)), start, start + given[3])


@rule("select")
def select(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    axis, size = given[1], shape_of(node, 0)[given[1]]
    index = given[2] % size
    return reshaped(writer, sliced(writer, given[0], axis % len(shape_of(node, 0)), index, index + 1), shape_of(node))


@rule("split", "split_with_sizes", "chunk", "unbind", "tensor_split")
def split(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    parts, whole = node.meta["val"], shape_of(node, 0)
    unbinding = _name(node) == "unbind"
    axis = (argument(given, more, 1 if unbinding else 2, "dim", 0)) % len(whole)
    made, start = [], 0
    for part in parts:
        length = 1 if unbinding else part.shape[axis]
        piece = sliced(writer, given[0], axis, start, start + length)
        made.append(reshaped(writer, piece, part.shape) if unbinding else piece)
        start += length
    return tuple(made)


@rule("cat")
def cat(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    axis, parts = argument(given, more, 1, "dim", 0), []
    listed: Any = node.args[0]
    for one, value in zip(listed, given[0], strict=True):
        found = one.meta["val"] if isinstance(one, fx.Node) and "val" in one.meta else value
        if list(found.shape) != [0]:  # torch lets such a one pass, whatever the others' ranks
            parts.append(writer.cast(value, found.dtype, dtype_of(node)))
    return writer.emit("Concat", *parts, axis=axis % len(shape_of(node)))


@rule("stack")
def stack(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    shape, axis = shape_of(node), argument(given, more, 1, "dim", 0)
    shape[axis] = 1
    return writer.emit("Concat", *(reshaped(writer, one, shape) for one in given[0]), axis=axis % len(shape))


@rule("flip")
def flip(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    made, rank = given[0], len(shape_of(node))
    for axis in axes_of(given[1], rank):
        made = sliced(writer, made, axis, -1, -(2**31), -1)
    return made


@rule("repeat")
def repeat(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    missing = len(given[1]) - len(shape_of(node, 0))
    value = reshaped(writer, given[0], [1] * missing + shape_of(node, 0)) if missing else given[0]
    return writer.emit("Tile", value, writer.integers(given[1]))


@rule("tril", "triu")
def triangle(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    diagonal = torch.tensor(argument(given, more, 1, "diagonal", 0), dtype=torch.int64)
    return writer.emit("Trilu", given[0], diagonal, upper=int(_name(node) == "triu"))


PADS = {
    "constant_pad_nd": "constant",
    "reflection_pad1d": "reflect", "reflection_pad2d": "reflect", "reflection_pad3d": "reflect",
    "replication_pad1d": "edge", "replication_pad2d": "edge", "replication_pad3d": "edge",
}  # fmt: skip


@rule(*PADS)
def pad(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    rank, amounts = len(shape_of(node)), list(given[1])
    before, after = [0] * rank, [0] * rank
    for number, (low, high) in enumerate(zip(amounts[::2], amounts[1::2], strict=True), start=1):
        before[-number], after[-number] = low, high
    mode, value = PADS[_name(node)], []
    if mode == "constant":
        value = [torch.tensor(argument(given, more, 2, "value", 0), dtype=dtype_of(node))]
    return writer.emit("Pad", given[0], writer.integers([*before, *after]), *value, mode=mode)


@rule(
    "full", "full_like", "zeros", "zeros_like", "ones", "ones_like", "new_zeros", "new_ones", "new_full", "empty_like"
)
def filled(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    name = _name(node)
    value: Any = 1 if "ones" in name else 0
    if name in ("full", "full_like"):
        value = argument(given, more, 1, "fill_value")
    elif name == "new_full":
        value = given[2]
    if isinstance(value, Name):
        raise UnsupportedError(f"{name} with a value that is computed")
    return writer.emit("Expand", torch.as_tensor(value, dtype=dtype_of(node)), writer.integers(shape_of(node)))


# Sums, products and the like.

REDUCING = {
    "sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "amax": "ReduceMax", "amin": "ReduceMin",
    "logsumexp": "ReduceLogSumExp",
}  # fmt: skip


@rule(*REDUCING)
def reducing(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    rank = len(shape_of(node, 0))
    overall = len(given) == 1 or (isinstance(given[1], Tensor))
    axes = axes_of(None if overall else given[1], rank)
    keep = bool(argument(given, more, 2, "keepdim", False))
    value = tensor(writer, given[0], node, 0, dtype_of(node))
    if not rank:
        return value
    return writer.emit(REDUCING[_name(node)], value, writer.integers(axes), keepdims=int(keep))


@rule("any", "all")
def any_all(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    axes = axes_of(given[1] if len(given) > 1 else None, len(shape_of(node, 0)))
    value = writer.cast(tensor(writer, given[0], node, 0, torch.bool), torch.bool, torch.int32)
    kind = "ReduceMax" if _name(node) == "any" else "ReduceMin"
    keep = int(bool(argument(given, more, 2, "keepdim", False)))
    return writer.cast(writer.emit(kind, value, writer.integers(axes), keepdims=keep), torch.int32, torch.bool)


@rule("linalg_vector_norm", "norm")
def norm(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    order = argument(given, more, 1, "ord", 2)
    kinds = {1.0: "ReduceL1", 2.0: "ReduceL2"}
    if order is None or float(order) not in kinds:
        raise UnsupportedError(f"the norm of order {order}")
    axes = axes_of(argument(given, more, 2, "dim"), len(shape_of(node, 0)))
    keep = int(bool(argument(given, more, 3, "keepdim", False)))
    return writer.emit(kinds[float(order)], given[0], writer.integers(axes), keepdims=keep)


@rule("argmax", "argmin")
def arg(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    kind = "ArgMax" if _name(node) == "argmax" else "ArgMin"
    axis, keep = argument(given, more, 1, "dim"), int(bool(argument(given, more, 2, "keepdim", False)))
    if axis is not None:
        return writer.emit(kind, given[0], axis=axis % len(shape_of(node, 0)), keepdims=keep)
    flat = reshaped(writer, given[0], [math.prod(shape_of(node, 0))])
    return reshaped(writer, writer.emit(kind, flat, axis=0, keepdims=0), shape_of(node))


@rule("cumsum")
def cumsum(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    value = tensor(writer, given[0], node, 0, dtype_of(node))
    return writer.emit("CumSum", value, torch.tensor(given[1] % len(shape_of(node)), dtype=torch.int64))


@rule("topk", "sort")
def topk(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    """Of equal values, the first ones come first."""
    shape, name = shape_of(node, 0), _name(node)
    if name == "topk":
        count, axis, largest = (
            given[1],
            argument(given, more, 2, "dim", -1),
            bool(argument(given, more, 3, "largest", True)),
        )
    else:
        places = {"stable": (2, 3)}.get(node.target._overloadname, (1, 2))  # type: ignore[union-attr]
        axis, largest = (
            argument(given, more, places[0], "dim", -1),
            bool(argument(given, more, places[1], "descending", False)),
        )
        count = shape[axis]
    kept = {"axis": axis % len(shape), "largest": int(largest), "sorted": 1}
    return writer.emit("TopK", given[0], writer.integers([count]), outputs=2, **kept)


@rule("max", "min")
def extreme(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    name = _name(node)
    if len(given) == 1:
        axes = writer.integers(range(len(shape_of(node, 0))))
        return writer.emit("ReduceMax" if name == "max" else "ReduceMin", given[0], axes, keepdims=0)
    axis, keep = given[1] % len(shape_of(node, 0)), int(bool(argument(given, more, 2, "keepdim", False)))
    kinds = ("ReduceMax", "ArgMax") if name == "max" else ("ReduceMin", "ArgMin")
    values = writer.emit(kinds[0], given[0], writer.integers([axis]), keepdims=keep)
    return values, writer.emit(kinds[1], given[0], axis=axis, keepdims=keep)


@rule("mm", "bmm", "matmul", "mv", "dot")
def matmul(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return writer.emit("MatMul", given[0], given[1])


@rule("addmm", "baddbmm", "addmv")
def addmm(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    if more.get("beta", 1) != 1 or more.get("alpha", 1) != 1:
        raise UnsupportedError("a product with factors")
    return writer.emit("Add", writer.emit("MatMul", given[1], given[2]), given[0])


@rule("_softmax", "_log_softmax")
def softmax(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    kind = "Softmax" if _name(node) == "_softmax" else "LogSoftmax"
    return writer.emit(kind, given[0], axis=given[1] % max(1, len(shape_of(node))))


@rule("native_layer_norm")
def layer_norm(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    shape, axes = list(given[1]), len(given[1])
    scale = torch.ones(shape) if given[2] is None else given[2]
    bias = torch.zeros(shape) if given[3] is None else given[3]
    made = writer.emit("LayerNormalization", given[0], scale, bias, axis=-axes, epsilon=float(given[4]))
    return made, None, None


@rule("native_batch_norm", "_native_batch_norm_legit_no_training", "_native_batch_norm_legit")
def batch_norm(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    training = _name(node) != "_native_batch_norm_legit_no_training" and bool(given[5])
    if training or isinstance(given[3], Name) or given[3] is None:
        raise UnsupportedError("a normalization over the batch")
    channels = shape_of(node, 0)[1]
    scale = torch.ones(channels) if given[1] is None else given[1]
    bias = torch.zeros(channels) if given[2] is None else given[2]
    epsilon = float(given[-1])
    return writer.emit("BatchNormalization", given[0], scale, bias, given[3], given[4], epsilon=epsilon), None, None


@rule("convolution")
def convolution(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    value, weights, bias, stride, padding, dilation, transposed, further, groups = given
    axes = len(shape_of(node)) - 2
    strides, pads, dilations, extra = (_spread(one, axes) for one in (stride, padding, dilation, further))
    ends = list(pads)
    folded = borders(node.args[0]) if axes == 2 and not transposed else None
    if folded is not None:
        left, right, top, bottom = folded[1]
        value = _before(writer, folded[0], given[0])
        if value is None:
            value = given[0]
        else:
            ends = [pads[0] + bottom, pads[1] + right]
            pads = [pads[0] + top, pads[1] + left]
    kept = {"strides": strides, "pads": [*pads, *ends], "dilations": dilations, "group": groups}
    if transposed:
        kept["output_padding"] = extra
    inputs = [value, weights] + ([] if bias is None else [bias])
    return writer.emit("ConvTranspose" if transposed else "Conv", *inputs, **kept)


def _before(writer: Writer, source: fx.Node, padded: Any) -> Any:
    """The name of what was padded, which the node that wrote ``padded`` reads."""
    del source
    for node in reversed(writer.nodes):
        if padded in node.output:
            return node.input[0]
    return None


def _spread(values: Any, axes: int) -> list[int]:
    listed = [values] if isinstance(values, int) else [int(value) for value in values]
    return listed * axes if len(listed) == 1 else listed


@rule("avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices")
def pool(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    name = _name(node)
    axes = int(name.partition("pool")[2][0])
    kernel = _spread(given[1], axes)
    strides = _spread(argument(given, more, 2, "stride") or kernel, axes)
    pads = _spread(argument(given, more, 3, "padding", 0), axes)
    kept: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "pads": [*pads, *pads]}
    value, shape = given[0], shape_of(node, 0)
    batched = len(shape) == axes + 2
    if not batched:
        value = reshaped(writer, value, [1, *shape])
    if name.startswith("max"):
        kept["dilations"] = _spread(argument(given, more, 4, "dilation", 1), axes)
        kept["ceil_mode"] = int(bool(argument(given, more, 5, "ceil_mode", False)))
        made = writer.emit("MaxPool", value, **kept)
    else:
        if argument(given, more, 6, "divisor_override") is not None:
            raise UnsupportedError("an average with a divisor of its own")
        kept["ceil_mode"] = int(bool(argument(given, more, 4, "ceil_mode", False)))
        kept["count_include_pad"] = int(bool(argument(given, more, 5, "count_include_pad", True)))
        made = writer.emit("AveragePool", value, **kept)
    made = made if batched else reshaped(writer, made, shape_of(node))
    return (made, None) if name.startswith("max") else made


@rule("upsample_nearest2d", "upsample_bilinear2d")
def upsample(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    kept: dict[str, Any] = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if _name(node) == "upsample_bilinear2d":
        aligned = bool(argument(given, more, 2, "align_corners", False))
        kept = {"mode": "linear", "coordinate_transformation_mode": "align_corners" if aligned else "half_pixel"}
    return writer.emit("Resize", given[0], "", "", writer.integers(shape_of(node)), **kept)


# By index.


@rule("index_select")
def index_select(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return writer.emit("Gather", given[0], given[2], axis=given[1] % max(1, len(shape_of(node, 0))))


@rule("embedding")
def embedding(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return writer.emit("Gather", given[0], given[1], axis=0)


@rule("gather")
def gather(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    return writer.emit("GatherElements", given[0], given[2], axis=given[1] % len(shape_of(node)))


@rule("index")
def index(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    """Whole axes, then axes by index, then whole axes; the indexed axes go to the front of the picked ones."""
    named = [axis for axis, one in enumerate(given[1]) if one is not None]
    if not named or named != list(range(named[0], named[-1] + 1)):
        raise UnsupportedError("indices on axes that lie apart")
    listed: Any = node.args[1]
    if any(_type_of(listed[axis], given[1][axis]) == torch.bool for axis in named):
        raise UnsupportedError("a choice by truth values")
    if len(named) == 1:
        return writer.emit("Gather", given[0], given[1][named[0]], axis=named[0])
    shapes = [_shape_of(listed[axis], given[1][axis]) for axis in named]
    together = list(torch.broadcast_shapes(*shapes))
    indices = _rows_of(writer, [given[1][axis] for axis in named], together)
    rank, first = len(shape_of(node, 0)), named[0]
    value = given[0]
    if first:
        order = [*named, *range(first), *range(named[-1] + 1, rank)]
        value = writer.emit("Transpose", value, perm=order)
    made = writer.emit("GatherND", value, indices)
    if not first:
        return made
    count = len(together)
    return writer.emit(
        "Transpose",
        made,
        perm=[*range(count, count + first), *range(count), *range(count + first, len(shape_of(node)))],
    )


def _type_of(node: Any, value: Any) -> torch.dtype:
    return value.dtype if isinstance(value, Tensor) else node.meta["val"].dtype


def _shape_of(node: Any, value: Any) -> list[int]:
    return list(value.shape if isinstance(value, Tensor) else node.meta["val"].shape)


SCATTERED = {"scatter": "none", "scatter_add": "add"}
REDUCED = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min", "add": "add", "multiply": "mul"}


@rule("scatter", "scatter_add", "scatter_reduce")
def scatter(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    name = _name(node)
    how = SCATTERED.get(name, "")
    told = argument(given, more, 4, "reduce") if name != "scatter_add" else None
    if told is not None:
        how = REDUCED.get(told, "")
    if not how or not argument(given, more, 5, "include_self", True):
        raise UnsupportedError(f"{name} by {told}")
    values = given[3]
    if isinstance(values, bool | int | float) or (isinstance(values, Tensor) and not values.dim()):
        shape = writer.integers(shape_of(node, 2))
        values = writer.emit("Expand", torch.as_tensor(values, dtype=dtype_of(node)), shape)
    kept = {"axis": given[1] % len(shape_of(node)), "reduction": how}
    return writer.emit("ScatterElements", given[0], given[2], values, **kept)


@rule("index_put", "_unsafe_index_put")
def index_put(writer: Writer, node: fx.Node, given: Given, more: More) -> Any:
    """Whole axes, then axes by index, then whole axes: the indexed ones are brought to the front and back."""
    named = [axis for axis, one in enumerate(given[1]) if one is not None]
    if not named or named != list(range(named[0], named[-1] + 1)):
        raise UnsupportedError("values put on axes that lie apart")
    listed: Any = node.args[1]
    if any(_type_of(listed[axis], given[1][axis]) == torch.bool for axis in named):
        raise UnsupportedError("values put by truth values")
    together = list(torch.broadcast_shapes(*(_shape_of(listed[axis], given[1][axis]) for axis in named)))
    indices = _rows_of(writer, [given[1][axis] for axis in named], together)
    shape, first, last, count = shape_of(node), named[0], named[-1] + 1, len(together)
    put = writer.emit("Expand", given[2], writer.integers([*shape[:first], *together, *shape[last:]]))
    value, order = given[0], [*named, *range(first), *range(last, len(shape))]
    if first:
        value = writer.emit("Transpose", value, perm=order)
        rest = range(first + count, count + len(shape) - len(named))
        put = writer.emit("Transpose", put, perm=[*range(first, first + count), *range(first), *rest])
    how = "add" if argument(given, more, 3, "accumulate", False) else "none"
    made = writer.emit("ScatterND", value, indices, put, reduction=how)
    return writer.emit("Transpose", made, perm=[order.index(axis) for axis in range(len(shape))]) if first else made


def _rows_of(writer: Writer, indices: Sequence[Any], together: Sequence[int]) -> Any:
    """Indices of several axes side by side, [*together, axes]."""
    columns = [
        reshaped(writer, writer.emit("Expand", one, writer.integers(together)), [*together, 1]) for one in indices
    ]
    return writer.emit("Concat", *columns, axis=len(together))


def _name(node: fx.Node) -> str:
    target: Any = node.target
    return str(target._schema.name.partition("::")[2])
