"""unary: f(scale x + shift). ``UnaryFunctionLayerParams``: scale 1 and epsilon 1e-6 if not set."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetwork_pb2, NeuralNetworkLayer

FUNCTIONS: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    "SQRT": lambda x, _alpha, _epsilon: torch.sqrt(x),
    "RSQRT": lambda x, _alpha, epsilon: torch.rsqrt(x + epsilon),
    "INVERSE": lambda x, _alpha, epsilon: torch.reciprocal(x + epsilon),
    "POWER": lambda x, alpha, _epsilon: torch.pow(x, alpha),
    "EXP": lambda x, _alpha, _epsilon: torch.exp(x),
    "LOG": lambda x, _alpha, _epsilon: torch.log(x),
    "ABS": lambda x, _alpha, _epsilon: torch.abs(x),
    "THRESHOLD": lambda x, alpha, _epsilon: torch.clamp(x, min=alpha),
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    params = layer.unary
    names = NeuralNetwork_pb2.UnaryFunctionLayerParams.Operation
    if params.type not in names.values():
        raise ModelError(f"{context.where}: the function {params.type} is not known; export the model again")
    function = FUNCTIONS[names.Name(params.type)]
    scale, shift = params.scale or 1.0, params.shift
    alpha, epsilon = params.alpha, params.epsilon or 1e-6
    if scale == 1.0 and shift == 0.0:
        return Function(lambda x: function(x, alpha, epsilon))
    return Function(lambda x: function(scale * x + shift, alpha, epsilon))
