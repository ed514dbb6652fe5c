"""Elementwise functions of several inputs, broadcast to one shape as in NumPy.

add: y = x1 + x2 + ..., or x + alpha if there is one input.

multiply: y = x1 x2 ..., or alpha x if there is one input.

average, max, min: the elementwise average, maximum or minimum of two or more inputs.

whereBroadcastable: y = x1 where the condition is not 0, otherwise x2. Inputs: condition, x1, x2.

*Broadcastable: y = x1 op x2. As in NumPy, modBroadcastable takes the sign of the divisor, and floorDivBroadcastable
rounds down; the format leaves both open.

equal, notEqual, lessThan, lessEqual, greaterThan, greaterEqual: y = 1 where x1 op x2 is true, otherwise 0. With one
input, x2 is ``alpha``.

logicalAnd, logicalOr, logicalXor, logicalNot: y = 1 where the operation is true, otherwise 0. Any value except 0 counts
as true.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Formula, Function, function_of
from coreml_updatable.spec.messages import NeuralNetworkLayer

BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "addBroadcastable": torch.add,
    "subtractBroadcastable": torch.subtract,
    "multiplyBroadcastable": torch.multiply,
    "divideBroadcastable": torch.divide,
    "maxBroadcastable": torch.maximum,
    "minBroadcastable": torch.minimum,
    "powBroadcastable": torch.pow,
    "modBroadcastable": torch.remainder,
    "floorDivBroadcastable": torch.floor_divide,
}
COMPARISONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "equal": torch.eq,
    "notEqual": torch.ne,
    "lessThan": torch.lt,
    "lessEqual": torch.le,
    "greaterThan": torch.gt,
    "greaterEqual": torch.ge,
}
LOGICAL: dict[str, Callable[..., Tensor]] = {
    "logicalAnd": torch.logical_and,
    "logicalOr": torch.logical_or,
    "logicalXor": torch.logical_xor,
    "logicalNot": torch.logical_not,
}


def _add(params: Any, _context: Context, *inputs: Tensor) -> Tensor:
    return inputs[0] + params.alpha if len(inputs) == 1 else reduce(torch.add, inputs)


def _multiply(params: Any, _context: Context, *inputs: Tensor) -> Tensor:
    return params.alpha * inputs[0] if len(inputs) == 1 else reduce(torch.multiply, inputs)


OF_ALL: dict[str, Formula] = {
    "add": _add,
    "multiply": _multiply,
    "average": lambda _params, _context, *inputs: sum(inputs[1:], inputs[0]) / len(inputs),
    "max": lambda _params, _context, *inputs: reduce(torch.maximum, inputs),
    "min": lambda _params, _context, *inputs: reduce(torch.minimum, inputs),
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    kind = context.kind
    if kind in OF_ALL:
        return function_of(context, OF_ALL)
    if kind in BINARY:
        return Function(BINARY[kind])
    if kind == "whereBroadcastable":
        return Function(lambda condition, first, second: torch.where(condition != 0, first, second))
    if kind in LOGICAL:
        return Function(lambda *inputs: LOGICAL[kind](*inputs).to(inputs[0].dtype))
    alpha = context.params.alpha

    def compare(x: Tensor, *other: Tensor) -> Tensor:
        return COMPARISONS[kind](x, other[0] if other else torch.tensor(alpha, dtype=x.dtype)).to(x.dtype)

    return Function(compare)
