"""Elementwise functions of one input, without weights. x has any shape, and y has the same.

ceil, floor, sign, round, exp2, sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh, erf: y = f(x).
round rounds halves to the nearest even number, as in IEEE 754 and NumPy; the format leaves that open.

unary: y = f(scale x + shift). The default of scale is 1, and that of epsilon 1e-6.

clip: y = min(max(x, minVal), maxVal).

clampedReLU: y = min(x, beta) where x >= 0, otherwise min(alpha x, beta).

gelu: y = x Phi(x), exact or approximated by tanh or by a sigmoid, x sigmoid(1.702 x) (Hendrycks and Gimpel, Gaussian
Error Linear Units, 2016).

copy: y = x. It is the only layer that may write to an existing blob.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function, function_of
from coreml_updatable.spec.messages import NeuralNetwork_pb2, NeuralNetworkLayer

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "ceil": torch.ceil,
    "floor": torch.floor,
    "sign": torch.sign,
    "round": torch.round,
    "exp2": torch.exp2,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "asinh": torch.asinh,
    "acosh": torch.acosh,
    "atanh": torch.atanh,
    "erf": torch.erf,
    "copy": lambda x: x,
}
UNARY: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    "SQRT": lambda x, _alpha, _epsilon: torch.sqrt(x),
    "RSQRT": lambda x, _alpha, epsilon: torch.rsqrt(x + epsilon),
    "INVERSE": lambda x, _alpha, epsilon: torch.reciprocal(x + epsilon),
    "POWER": lambda x, alpha, _epsilon: torch.pow(x, alpha),
    "EXP": lambda x, _alpha, _epsilon: torch.exp(x),
    "LOG": lambda x, _alpha, _epsilon: torch.log(x),
    "ABS": lambda x, _alpha, _epsilon: torch.abs(x),
    "THRESHOLD": lambda x, alpha, _epsilon: torch.clamp(x, min=alpha),
}
GELU_TANH, GELU_SIGMOID = 1, 2


def _unary(params: Any, context: Context) -> Function:
    names = NeuralNetwork_pb2.UnaryFunctionLayerParams.Operation
    if params.type not in names.values():
        raise context.unknown(f"the function {params.type}")
    function = UNARY[names.Name(params.type)]
    scale, shift = params.scale or 1.0, params.shift
    alpha, epsilon = params.alpha, params.epsilon or 1e-6
    if scale == 1.0 and shift == 0.0:
        return Function(lambda x: function(x, alpha, epsilon))
    return Function(lambda x: function(scale * x + shift, alpha, epsilon))


def _clip(low: float, high: float) -> Function:
    if low < high:  # hardtanh is the same function, which torch fuses into the convolution before it
        return Function(
            lambda x: functional.hardtanh(x, low, high), in_place=lambda x: functional.hardtanh_(x, low, high)
        )
    return Function(lambda x: torch.clamp(x, low, high))


def _clamped_relu(params: Any, _context: Context, x: Tensor) -> Tensor:
    return torch.where(x >= 0, x, params.alpha * x).clamp(max=params.beta)


def _gelu(params: Any, _context: Context, x: Tensor) -> Tensor:
    if params.mode == GELU_SIGMOID:
        return x * torch.sigmoid(1.702 * x)
    return functional.gelu(x, approximate="tanh" if params.mode == GELU_TANH else "none")


FORMULAS = {"clampedReLU": _clamped_relu, "gelu": _gelu}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    if context.kind in FUNCTIONS:
        return Function(FUNCTIONS[context.kind])
    if context.kind == "unary":
        return _unary(layer.unary, context)
    return _clip(layer.clip.minVal, layer.clip.maxVal) if context.kind == "clip" else function_of(context, FORMULAS)
