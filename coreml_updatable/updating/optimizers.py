"""SGD with momentum and Adam, on arrays that are changed in place. ``SGDOptimizer``, ``AdamOptimizer``.

The state starts afresh with every task: the format has no field for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.updating.assumptions import Assumptions

Arrays: TypeAlias = Sequence[NDArray[Any]]


class Optimizer(Protocol):
    def step(self, weights: Arrays, gradients: Arrays, parameters: Mapping[str, float]) -> None:
        """Change ``weights`` in place. ``parameters`` are those in force now."""


class SGD:
    """v = mu v + g, w = w - lr v; or v = mu v - lr g, w = w + v. v starts at 0."""

    def __init__(self, weights: Arrays, assumptions: Assumptions) -> None:
        self._velocity = [np.zeros_like(weight) for weight in weights]
        self._accumulate = assumptions.momentum == "accumulate"

    def step(self, weights: Arrays, gradients: Arrays, parameters: Mapping[str, float]) -> None:
        rate, momentum = parameters["learningRate"], parameters["momentum"]
        for weight, gradient, velocity in zip(weights, gradients, self._velocity, strict=True):
            velocity *= momentum
            if self._accumulate:
                velocity += gradient
                weight -= rate * velocity
            else:
                velocity -= rate * gradient
                weight += velocity


class Adam:
    """Kingma and Ba, Adam: a method for stochastic optimization, 2015, algorithm 1; and where Apple's may differ."""

    def __init__(self, weights: Arrays, assumptions: Assumptions) -> None:
        self._first = [np.zeros_like(weight) for weight in weights]
        self._second = [np.zeros_like(weight) for weight in weights]
        self._steps = 0
        self._assumptions = assumptions

    def step(self, weights: Arrays, gradients: Arrays, parameters: Mapping[str, float]) -> None:
        rate, eps = parameters["learningRate"], parameters["eps"]
        beta1, beta2 = parameters["beta1"], parameters["beta2"]
        self._steps += 1
        corrected = self._assumptions.adam_bias == "corrected"
        first_share = 1 - beta1**self._steps if corrected else 1.0
        second_share = 1 - beta2**self._steps if corrected else 1.0
        for weight, gradient, first, second in zip(weights, gradients, self._first, self._second, strict=True):
            first *= beta1
            first += (1 - beta1) * gradient
            second *= beta2
            second += (1 - beta2) * gradient * gradient
            match self._assumptions.adam_eps:
                case "outside":
                    divisor = np.sqrt(second / second_share) + eps
                case "inside":
                    divisor = np.sqrt(second / second_share + eps)
                case "scaled":
                    divisor = (np.sqrt(second) + eps) / np.sqrt(second_share)
            weight -= (rate / first_share) * first / divisor


def optimizer(kind: str, weights: Arrays, assumptions: Assumptions) -> Optimizer:
    """By the name of the format's field: sgdOptimizer or adamOptimizer."""
    return SGD(weights, assumptions) if kind == "sgdOptimizer" else Adam(weights, assumptions)
