"""activation: an elementwise function; each ``Activation...`` message contains its formula. x has any shape. PReLU and
parametricSoftplus take one value per channel (axis -3, so the rank is 3 or more), or a single value.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer, WeightParams

FUNCTIONS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "linear": lambda p, x: p.alpha * x + p.beta,
    "ReLU": lambda _, x: functional.relu(x),
    "leakyReLU": lambda p, x: functional.leaky_relu(x, p.alpha),
    "thresholdedReLU": lambda p, x: torch.where(x >= p.alpha, x, 0.0),
    "tanh": lambda _, x: torch.tanh(x),
    "scaledTanh": lambda p, x: p.alpha * torch.tanh(p.beta * x),
    "sigmoid": lambda _, x: torch.sigmoid(x),
    "sigmoidHard": lambda p, x: torch.clamp(p.alpha * x + p.beta, 0.0, 1.0),
    "ELU": lambda p, x: torch.where(x >= 0, x, p.alpha * torch.expm1(x.clamp(max=0.0))),
    "softsign": lambda _, x: functional.softsign(x),
    "softplus": lambda _, x: functional.softplus(x),
}


class PReLU(nn.Module):
    def __init__(self, params: Any, context: Context) -> None:
        super().__init__()
        self.context = context
        self.alpha = _per_channel(params.alpha, context, "alpha")

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x >= 0, x, _beside(self.alpha, x, self.context) * x)


class ParametricSoftplus(nn.Module):
    def __init__(self, params: Any, context: Context) -> None:
        super().__init__()
        self.context = context
        self.alpha, self.beta = (_per_channel(getattr(params, name), context, name) for name in ("alpha", "beta"))

    def forward(self, x: Tensor) -> Tensor:
        alpha, beta = (_beside(values, x, self.context) for values in (self.alpha, self.beta))
        return alpha * functional.softplus(beta * x)


def _beside(values: Tensor, x: Tensor, context: Context) -> Tensor:
    """Reshape ``values`` to broadcast against x without changing its shape."""
    return values if len(values) == 1 else context.over_channels(values, x)


def _per_channel(weights: WeightParams, context: Context, name: str) -> nn.Parameter:
    count = len(weights.floatValue) or len(weights.float16Value) // 2
    if not count:
        raise context.misfit(f"{name} holds no float values, expected one a channel")
    return context.parameter(weights, (count,), name)


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    params = layer.activation
    kind = params.WhichOneof("NonlinearityType")
    if kind == "PReLU":
        return PReLU(params.PReLU, context)
    if kind == "parametricSoftplus":
        return ParametricSoftplus(params.parametricSoftplus, context)
    if kind not in FUNCTIONS:
        raise context.misfit("has no activation, or one newer than this program knows")
    function, values = FUNCTIONS[kind], getattr(params, kind)
    return Function(lambda x: function(values, x), in_place=functional.relu_ if kind == "ReLU" else None)
