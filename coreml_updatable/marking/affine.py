"""Layers that multiply and add one number per channel, whatever their kind in the format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.layer_shapes import Shape
from coreml_updatable.spec.messages import NeuralNetwork, NeuralNetworkLayer, WeightParams
from coreml_updatable.spec.weights import decode

Numbers = NDArray[np.float64]
Constants = Mapping[str, NDArray[np.float32]]

CONSTANTS = ("loadConstant", "loadConstantND")
_RANK_5 = 5
_DEFAULT_EPSILON = 1e-5  # of ``BatchnormLayerParams``
_ONE_NUMBER = ("activation", "add", "multiply")
_TWO_SIDED = {
    "addBroadcastable": "+",
    "add": "+",
    "subtractBroadcastable": "-",
    "multiplyBroadcastable": "*",
    "multiply": "*",
    "divideBroadcastable": "/",
}


@dataclass(frozen=True)
class Affine:
    """y = factor x + offset; both have one number per channel, or a single one."""

    factor: Numbers
    offset: Numbers


def constants_of(network: NeuralNetwork) -> dict[str, NDArray[np.float32]]:
    """Return the constants by blob: outputs of layers without inputs, and what factors and offsets make of them."""
    result: dict[str, NDArray[np.float32]] = {}
    for layer in network.layers:
        kind = layer_kind(layer)
        if kind in _ONE_NUMBER and len(layer.input) == 1 and str(layer.input[0]) in result:
            affine = affine_of(layer, None, {})
            if affine is not None:  # coremltools writes x - 1 as x + (-1 * 1)
                known = result[str(layer.input[0])]
                result[str(layer.output[0])] = (known * affine.factor + affine.offset).astype(np.float32)
        if kind in CONSTANTS:
            params = getattr(layer, kind)
            shape = [int(length) for length in params.shape]
            padded = shape if kind == "loadConstantND" else [1] * (_RANK_5 - len(shape)) + shape
            result[str(layer.output[0])] = decode(params.data, shape, f"layer {layer.name!r}: data").reshape(padded)
    return result


def data_input(layer: NeuralNetworkLayer, constants: Constants) -> str | None:
    """Return the only blob that ``layer`` reads apart from constants; None if there is none or several."""
    read = [str(blob) for blob in layer.input if blob not in constants]
    return read[0] if len(read) == 1 else None


def channel_axis(shape: Shape) -> int:
    """Return the axis of the channels, counted from the end: that of [..., C, H, W], or the last one of lower ranks."""
    return -3 if len(shape) >= 4 else -1


def affine_of(layer: NeuralNetworkLayer, shape: Shape | None, constants: Constants) -> Affine | None:
    """Return the effect of ``layer`` on data of ``shape`` if it is one factor and one offset per channel, else None."""
    kind = layer_kind(layer)
    if kind == "activation" and layer.activation.WhichOneof("NonlinearityType") == "linear":
        return _affine(layer.activation.linear.alpha, layer.activation.linear.beta)
    if kind in ("add", "multiply") and len(layer.input) == 1:
        alpha = getattr(layer, kind).alpha
        return _affine(1, alpha) if kind == "add" else _affine(alpha, 0)
    if shape is None or shape[channel_axis(shape)] is None:
        return None
    if kind in _TWO_SIDED:
        return _with_constant(layer, shape, constants, _TWO_SIDED[kind])
    if len(shape) < 4:
        return None  # the kinds that follow have their channels on axis -3
    where = f"layer {layer.name!r}"
    if kind == "bias":
        offset = _per_channel(layer.bias.bias, layer.bias.shape, shape, where)
        return None if offset is None else _affine(1, offset)
    if kind == "scale":
        params = layer.scale
        factor = _per_channel(params.scale, params.shapeScale, shape, where)
        shift = _per_channel(params.bias, params.shapeBias, shape, where) if params.hasBias else np.zeros(1)
        return None if factor is None or shift is None else _affine(factor, shift)
    return _of_batchnorm(layer, where) if kind == "batchnorm" else None


def _affine(factor: Numbers | float, offset: Numbers | float) -> Affine | None:
    """Return the factor and offset; None if a number is not finite, as in a mask that adds minus infinity."""
    if not (np.isfinite(factor).all() and np.isfinite(offset).all()):
        return None
    return Affine(np.atleast_1d(np.asarray(factor, np.float64)), np.atleast_1d(np.asarray(offset, np.float64)))


def _with_constant(layer: NeuralNetworkLayer, shape: Shape, constants: Constants, sign: str) -> Affine | None:
    if len(layer.input) != 2 or data_input(layer, constants) is None:
        return None
    first = str(layer.input[0]) in constants
    values = constants[str(layer.input[0 if first else 1])]
    if values.ndim > len(shape):
        return None
    aligned = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
    channels = aligned.shape[channel_axis(shape)]
    if aligned.size != channels or channels not in (1, shape[channel_axis(shape)]):
        return None
    numbers = aligned.ravel().astype(np.float64)
    if sign == "+":
        return _affine(1, numbers)
    if sign == "*":
        return _affine(numbers, 0)
    if sign == "-":
        return _affine(-1, numbers) if first else _affine(1, -numbers)
    return None if first or not numbers.all() else _affine(1 / numbers, 0)


def _per_channel(weights: WeightParams, stated: Sequence[int], shape: Shape, where: str) -> Numbers | None:
    """Return [C] or [1] from values of shape [1], [C], [1, 1, 1] or [C, 1, 1]; None if they differ between pixels."""
    sizes = [int(size) for size in stated] or [1]
    if len(sizes) not in (1, 3) or sizes[1:] not in ([], [1, 1]) or sizes[0] not in (1, shape[-3]):
        return None
    return decode(weights, sizes, where).ravel().astype(np.float64)


def _of_batchnorm(layer: NeuralNetworkLayer, where: str) -> Affine | None:
    params = layer.batchnorm
    if params.computeMeanVar:
        return None
    names, shape = ("gamma", "beta", "mean", "variance"), (int(params.channels),)
    gamma, beta, mean, variance = (decode(getattr(params, n), shape, where).astype(np.float64) for n in names)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # of a negative variance there is no root
        factor = gamma / np.sqrt(variance + (params.epsilon or _DEFAULT_EPSILON))
        return _affine(factor, beta - mean * factor)
