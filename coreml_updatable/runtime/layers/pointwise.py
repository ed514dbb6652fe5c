"""ceil, floor, sign, round, exp2, trigonometric and hyperbolic functions, erf: y = f(x). ``CeilLayerParams`` and so on.

x, y of any shape. Halves are rounded to the even number, as IEEE 754 and NumPy do; the format leaves that open.
"""

import torch
from torch import nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer

FUNCTIONS = {
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
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(1)
    return Function(FUNCTIONS[layer.WhichOneof("layer")])
