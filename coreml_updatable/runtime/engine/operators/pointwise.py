"""Elementwise operations: arithmetic, comparisons, activations."""

# ruff: noqa: ARG001 - every rule has the same four arguments

from typing import Any

import torch
from torch import Tensor, fx

from coreml_updatable.runtime.engine.onnx_graph import UnsupportedError, ValueName, Writer
from coreml_updatable.runtime.engine.operators._rules import (
    Args,
    Kwargs,
    argument,
    dtype_of,
    name_of,
    rule,
    shape_of,
    tensor,
)

# One input, one output, the same values in torch and ONNX.
UNARY = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh", "atan": "Atan", "atanh": "Atanh",
    "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "floor": "Floor", "isnan": "IsNaN",
    "log": "Log", "logical_not": "Not", "neg": "Neg", "reciprocal": "Reciprocal", "relu": "Relu", "round": "Round",
    "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip


@rule(*UNARY)
def unary(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    name = name_of(node)
    dtype = torch.bool if name == "logical_not" else dtype_of(node, 0) if name == "isnan" else dtype_of(node)
    return writer.emit(UNARY[name], tensor(writer, args[0], node, 0, dtype))


@rule("bitwise_not")
def bitwise_not(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    if dtype_of(node) != torch.bool:
        raise UnsupportedError("bitwise_not of integers")
    return writer.emit("Not", args[0])


@rule("alias", "clone", "contiguous", "detach", "lift_fresh_copy", "lift_fresh")
def same(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return args[0]


@rule("_to_copy")
def to_copy(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return tensor(writer, args[0], node, 0, dtype_of(node))


@rule("rsqrt")
def rsqrt(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return writer.emit("Reciprocal", writer.emit("Sqrt", args[0]))


@rule("square")
def square(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return writer.emit("Mul", args[0], args[0])


@rule("exp2")
def exp2(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return writer.emit("Pow", torch.tensor(2.0), tensor(writer, args[0], node, 0, dtype_of(node)))


@rule("silu")
def silu(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return writer.emit("Mul", args[0], writer.emit("Sigmoid", args[0]))


@rule("gelu")
def gelu(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return writer.emit("Gelu", args[0], approximate=argument(args, kwargs, 1, "approximate", "none"))


@rule("leaky_relu")
def leaky_relu(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return writer.emit("LeakyRelu", args[0], alpha=float(argument(args, kwargs, 1, "negative_slope", 0.01)))


@rule("elu")
def elu(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    if any(float(value) != 1.0 for value in args[2:4]):
        raise UnsupportedError("elu with a scale")
    return writer.emit("Elu", args[0], alpha=float(argument(args, kwargs, 1, "alpha", 1.0)))


@rule("softplus")
def softplus(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    if [float(value) for value in args[1:]] not in ([], [1.0], [1.0, 20.0]):
        raise UnsupportedError("softplus with another beta")
    return writer.emit("Softplus", args[0])


@rule("_prelu_kernel")
def prelu(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return writer.emit("PRelu", args[0], args[1])


@rule("hardtanh", "clamp", "clamp_min", "clamp_max")
def clip(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    name, dtype = name_of(node), dtype_of(node)
    if name == "clamp_max":
        low, high = None, argument(args, kwargs, 1, "max")
    else:
        low, high = argument(args, kwargs, 1, "min"), argument(args, kwargs, 2, "max")
    if name == "hardtanh":
        low, high = argument(args, kwargs, 1, "min_val", -1.0), argument(args, kwargs, 2, "max_val", 1.0)
    result = tensor(writer, args[0], node, 0, dtype)
    for kind, limit in (("Max", low), ("Min", high)):
        if isinstance(limit, ValueName) or (isinstance(limit, Tensor) and limit.dim()):
            result = writer.emit(kind, result, limit)
            low, high = (None, high) if kind == "Max" else (low, None)
    if low is None and high is None:
        return result
    ends = ["" if end is None else torch.as_tensor(end, dtype=dtype) for end in (low, high)]
    return writer.emit("Clip", result, *ends)


BINARY = {
    "add": "Add", "div": "Div", "maximum": "Max", "minimum": "Min", "mul": "Mul", "pow": "Pow", "sub": "Sub",
}  # fmt: skip
COMPARING = {"eq": "Equal", "ge": "GreaterOrEqual", "gt": "Greater", "le": "LessOrEqual", "lt": "Less"}
LOGICAL = {
    "bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor",
    "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor",
}  # fmt: skip


@rule(*BINARY)
def binary(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    name, dtype = name_of(node), dtype_of(node)
    first, second = (tensor(writer, args[index], node, index, dtype) for index in (0, 1))
    alpha, rounding = argument(args, kwargs, 2, "alpha", 1), kwargs.get("rounding_mode")
    if name in ("add", "sub") and alpha != 1:
        second = writer.emit("Mul", second, torch.tensor(alpha, dtype=dtype))
    result = writer.emit(BINARY[name], first, second)
    if rounding == "floor":
        return writer.emit("Floor", result)
    if rounding == "trunc":
        return writer.emit("Mul", writer.emit("Sign", result), writer.emit("Floor", writer.emit("Abs", result)))
    return result


@rule("rsub")
def rsub(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    if argument(args, kwargs, 2, "alpha", 1) != 1:
        raise UnsupportedError("rsub with a factor")
    first, second = (tensor(writer, args[index], node, index, dtype_of(node)) for index in (0, 1))
    return writer.emit("Sub", second, first)


@rule("floor_divide")
def floor_divide(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    first, second = (tensor(writer, args[index], node, index, torch.float32) for index in (0, 1))
    return writer.cast(writer.emit("Floor", writer.emit("Div", first, second)), torch.float32, dtype_of(node))


@rule("remainder")
def remainder(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    """Write a remainder with the sign of the divisor."""
    dtype = dtype_of(node)
    first, second = (tensor(writer, args[index], node, index, dtype) for index in (0, 1))
    if not dtype.is_floating_point:
        return writer.emit("Mod", first, second)
    rest = writer.emit("Mod", first, second, fmod=1)
    zero = torch.tensor(0.0, dtype=dtype)
    other = writer.emit("Less", writer.emit("Mul", rest, second), zero)
    return writer.emit("Where", other, writer.emit("Add", rest, second), rest)


@rule("fmod")
def fmod(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    first, second = (tensor(writer, args[index], node, index, dtype_of(node)) for index in (0, 1))
    return writer.emit("Mod", first, second, fmod=1)


@rule(*COMPARING, "ne")
def comparing(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    name = name_of(node)
    first, second = _pair(writer, node, args)
    result = writer.emit(COMPARING.get(name, "Equal"), first, second)
    return writer.emit("Not", result) if name == "ne" else result


def _pair(writer: Writer, node: fx.Node, args: Args) -> tuple[Any, Any]:
    """Return both inputs in the type in which torch compares them; ONNX cannot order booleans."""
    examples: list[Any] = [
        item
        if isinstance(item, bool | int | float)
        else torch.empty((1,) * min(1, len(shape_of(node, index))), dtype=dtype_of(node, index))
        for index, item in enumerate(args[:2])
    ]
    dtype = torch.result_type(*examples)
    dtype = torch.int32 if dtype == torch.bool else dtype
    first, second = (tensor(writer, args[index], node, index, dtype) for index in (0, 1))
    return first, second


@rule(*LOGICAL)
def logical(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    name = name_of(node)
    if dtype_of(node) != torch.bool:
        raise UnsupportedError(f"{name} of integers")
    first, second = (tensor(writer, args[index], node, index, torch.bool) for index in (0, 1))
    return writer.emit(LOGICAL[name], first, second)


@rule("where")
def where(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    if len(args) != 3:
        raise UnsupportedError("where without values")
    condition = tensor(writer, args[0], node, 0, torch.bool)
    return writer.emit(
        "Where", condition, *(tensor(writer, args[index], node, index, dtype_of(node)) for index in (1, 2))
    )


@rule("masked_fill")
def masked_fill(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    return writer.emit("Where", args[1], tensor(writer, args[2], node, 2, dtype_of(node)), args[0])


@rule("threshold")
def threshold(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    limit, value = (torch.tensor(float(item)) for item in args[1:3])
    return writer.emit("Where", writer.emit("Greater", args[0], limit), args[0], value)
