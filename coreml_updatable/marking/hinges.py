"""Activations without a gradient on devices, written as sums of ReLUs, through which they train.

clip(x, a, b) = a + relu(x - a) - relu(x - b)        ReLU6 and its like
leakyReLU(x)  = relu(x) - alpha relu(-x)             PReLU, with one alpha a channel
"""

from dataclasses import dataclass

import numpy as np

from coreml_updatable.marking.affine import Numbers
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import NeuralNetworkLayer
from coreml_updatable.spec.weights import decode

_UNBOUNDED = 1e30  # writers put the largest float for no bound at all


@dataclass(frozen=True)
class Hinge:
    """weight f(slope x + shift), each of one number a channel or of a single one for all; f is a ReLU or a tanh."""

    weight: Numbers
    slope: Numbers
    shift: Numbers


@dataclass(frozen=True)
class Hinges:
    """y = offset + the sum of ``terms``."""

    terms: tuple[Hinge, ...]
    offset: float = 0.0
    function: str = "ReLU"


def hinges_of(layer: NeuralNetworkLayer) -> Hinges | None:
    """``layer`` as such a sum; None for one that is none or not of finite numbers, and for a ReLU or tanh."""
    found = _sum_of(layer)
    if found is None or not np.isfinite(found.offset):
        return None
    numbers = [part for term in found.terms for part in (term.weight, term.slope, term.shift)]
    return found if all(np.isfinite(part).all() for part in numbers) else None


def _sum_of(layer: NeuralNetworkLayer) -> Hinges | None:
    kind = layer_kind(layer)
    if kind == "clip":
        return _clipped(layer.clip.minVal, layer.clip.maxVal)
    if kind == "clampedReLU" and layer.clampedReLU.beta >= 0 and layer.clampedReLU.alpha >= 0:  # else both sides clamp
        top = layer.clampedReLU.beta
        return Hinges((_hinge(1, 1, 0), _hinge(-layer.clampedReLU.alpha, -1, 0), _hinge(-1, 1, -top)))
    if kind == "unary":
        return _of_unary(layer)
    return _of_activation(layer) if kind == "activation" else None


def _clipped(low: float, high: float) -> Hinges | None:
    if low > high:
        return None
    if low <= -_UNBOUNDED:
        return Hinges((_hinge(-1, -1, high),), high) if high < _UNBOUNDED else None
    upper = () if high >= _UNBOUNDED else (_hinge(-1, 1, -high),)
    return Hinges((_hinge(1, 1, -low), *upper), low)


def _of_unary(layer: NeuralNetworkLayer) -> Hinges | None:
    params = layer.unary
    scale, shift = params.scale or 1.0, params.shift
    if params.type == params.THRESHOLD:
        return Hinges((_hinge(1, scale, shift - params.alpha),), params.alpha)
    if params.type == params.ABS:
        return Hinges((_hinge(1, scale, shift), _hinge(1, -scale, -shift)))
    return None


def _of_activation(layer: NeuralNetworkLayer) -> Hinges | None:
    params = layer.activation
    match params.WhichOneof("NonlinearityType"):
        case "leakyReLU":
            return Hinges((_hinge(1, 1, 0), _hinge(-params.leakyReLU.alpha, -1, 0)))
        case "PReLU":
            stored = params.PReLU.alpha
            count = len(stored.floatValue) or len(stored.float16Value) // 2
            alpha = decode(stored, (count,), f"layer {layer.name!r}: alpha").astype(np.float64)
            return Hinges((_hinge(1, 1, 0), _hinge(-alpha, -1, 0))) if count else None
        case "sigmoidHard":
            hard = params.sigmoidHard
            return Hinges((_hinge(1, hard.alpha, hard.beta), _hinge(-1, hard.alpha, hard.beta - 1)))
        case "scaledTanh":
            return Hinges((_hinge(params.scaledTanh.alpha, params.scaledTanh.beta, 0),), function="tanh")
    return None


def _hinge(weight: Numbers | float, slope: float, shift: float) -> Hinge:
    return Hinge(*(np.atleast_1d(np.asarray(number, np.float64)) for number in (weight, slope, shift)))
