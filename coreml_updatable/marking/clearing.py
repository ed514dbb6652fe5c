"""Clear the path of the gradient: replace layers that block it between the trained layers and the loss.

clip(x, a, b) = a + relu(x - a) - relu(x - b)        ReLU6 and similar functions
leakyReLU(x)  = relu(x) - alpha relu(-x)             PReLU, with one alpha per channel

A factor and an offset are folded into the previous layer, or become a depthwise 1x1 convolution. An activation that is
a sum of ReLUs becomes two such convolutions with a ReLU between them. These convolutions stay fixed; ``FIXED`` at the
end of their names keeps later markings from counting them among the layers to train.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from coreml_updatable.marking.affine import Affine, Constants, Numbers, affine_of, constants_of, data_input
from coreml_updatable.marking.building_blocks import new_layer
from coreml_updatable.marking.folding import can_take, drop_unread_constants, linear_into
from coreml_updatable.spec.graph import consumers, layer_kind, place, producers
from coreml_updatable.spec.layer_kinds import passes_gradients
from coreml_updatable.spec.layer_shapes import Shape
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer, copy_of
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes
from coreml_updatable.spec.weights import decode, packed

_UNBOUNDED = 1e30  # writers put the largest float for no bound at all


@dataclass(frozen=True)
class Hinge:
    """weight f(slope x + shift), with one number per channel or a single one for all; f is a ReLU or a tanh."""

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
    """Return ``layer`` as such a sum; None if it is not one, has numbers that are not finite, or is a ReLU or tanh."""
    result = _sum_of(layer)
    if result is None or not np.isfinite(result.offset):
        return None
    numbers = [part for term in result.terms for part in (term.weight, term.slope, term.shift)]
    return result if all(np.isfinite(part).all() for part in numbers) else None


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


FIXED = "_fixed"


def clearable(model: Model) -> frozenset[int]:
    """Return the indices of layers that block the gradient, or a device's compiler, and can be replaced."""
    network, shapes = network_of(model), blob_shapes(model)
    constants = constants_of(network)
    result = set[int]()
    for index, layer in enumerate(network.layers):
        if passes_gradients(layer) and layer_kind(layer) != "batchnorm":
            continue
        source = data_input(layer, constants)
        shape = shapes.get(source) if source is not None else None
        if _channels(shape) is None:
            continue
        if affine_of(layer, shape, constants) is not None or hinges_of(layer) is not None:
            result.add(index)
    return frozenset(result)


def clear(model: Model, numbers: Collection[int]) -> list[str]:
    """Rewrite these ``clearable`` layers in place, in the order of the network; return one line for each change."""
    if not numbers:
        return []
    work = _Clearing(model)
    for index in range(len(work.layers)):
        work.take(index, rewrite=index in numbers)
    network = network_of(model)
    del network.layers[:]
    network.layers.extend(work.made)
    drop_unread_constants(model)
    return work.notes


class _Clearing:
    """The network as it is rewritten, layer by layer."""

    def __init__(self, model: Model) -> None:
        network = network_of(model)
        self.layers = [copy_of(layer) for layer in network.layers]
        self.made: list[NeuralNetworkLayer] = []
        self.notes: list[str] = []
        self._constants: Constants = constants_of(network)
        self._shapes = blob_shapes(model)
        self._read = consumers(network.layers)
        self._shown = {str(feature.name) for feature in model.description.output}
        self._taken = {str(name) for layer in network.layers for name in (layer.name, *layer.input, *layer.output)}

    def take(self, index: int, *, rewrite: bool) -> None:
        layer = self.layers[index]
        source = data_input(layer, self._constants)
        shape = self._shapes.get(source or "")
        channels = _channels(shape)
        if not rewrite or source is None or channels is None:
            self.made.append(layer)
            return
        where = place(index, layer)
        affine = affine_of(layer, shape, self._constants)
        if affine is not None:
            self._affine(layer, source, affine, channels, where)
            return
        hinges = hinges_of(layer)
        assert hinges is not None
        self._hinges(layer, source, hinges, channels)
        self.notes.append(
            f"{where}: {named_kind(layer)} became {hinges.function} between fixed 1x1 convolutions, which pass on the "
            "gradient"
        )

    def _affine(self, layer: NeuralNetworkLayer, source: str, affine: Affine, channels: int, where: str) -> None:
        into = self._folds_into(source)
        if into is not None:
            linear_into(into, affine, f"layer {into.name!r}")
            into.output[:] = layer.output
            self.notes.append(
                f"{where}: {named_kind(layer)} was folded into {str(into.name)!r}, because it blocks the gradient"
            )
            return
        self._convolution(
            source, str(layer.output[0]), str(layer.name), affine.factor[None], affine.offset[None], channels
        )
        self.notes.append(f"{where}: {named_kind(layer)} became a fixed 1x1 convolution, which passes on the gradient")

    def _folds_into(self, source: str) -> NeuralNetworkLayer | None:
        """The layer that wrote ``source``, if it can take a factor and an offset and is read only here."""
        number = producers(self.made).get(source)
        if number is None or not can_take(self.made[number], self._shapes.get(source)):
            return None
        return self.made[number] if len(self._read.get(source, ())) <= 1 and source not in self._shown else None

    def _hinges(self, layer: NeuralNetworkLayer, source: str, hinges: Hinges, channels: int) -> None:
        name, result = str(layer.name), str(layer.output[0])
        count = len(hinges.terms)
        slopes, shifts = [term.slope for term in hinges.terms], [term.shift for term in hinges.terms]
        blob = source
        if count > 1 or (slopes[0] != 1).any() or (shifts[0] != 0).any():
            into = self._folds_into(source) if count == 1 else None
            if into is not None:
                linear_into(into, Affine(slopes[0], shifts[0]), f"layer {into.name!r}")
            else:
                blob = self._free(f"{name}_apart")
                self._convolution(source, blob, f"{name}_apart", _rows(slopes), _rows(shifts), channels)
        weights = [term.weight for term in hinges.terms]
        plain = count == 1 and (weights[0] == 1).all() and hinges.offset == 0
        bent = result if plain else self._free(f"{name}_bent")
        activation = new_layer(name, blob, bent)
        getattr(activation.activation, hinges.function).SetInParent()
        self.made.append(activation)
        if not plain:
            self._joining(bent, result, f"{name}_joined", weights, hinges.offset, channels)

    def _convolution(
        self, source: str, result: str, name: str, factors: Numbers, offsets: Numbers, channels: int
    ) -> None:
        """[.., C, H, W] -> [.., k C, H, W]: channel c becomes factors[i] c + offsets[i], with i from 0 to k - 1."""
        count = len(factors)
        weights, bias = (np.broadcast_to(numbers, (count, channels)).T for numbers in (factors, offsets))
        self._add(source, result, name, weights.reshape(count * channels, 1), bias.ravel(), channels)

    def _joining(
        self, source: str, result: str, name: str, weights: Sequence[Numbers], offset: float, channels: int
    ) -> None:
        """[.., k C, H, W] -> [.., C, H, W]: the weighted sum of the k channels that came from one, plus ``offset``."""
        rows = np.broadcast_to(_rows(weights), (len(weights), channels)).T
        self._add(source, result, name, rows, np.full(channels, offset), channels)

    def _add(self, source: str, result: str, name: str, weights: Numbers, bias: Numbers, groups: int) -> None:
        layer = new_layer(self._free(f"{name}{FIXED}"), source, result)
        params = layer.convolution
        params.outputChannels, params.kernelChannels = weights.shape
        params.nGroups, params.hasBias = groups, True
        params.kernelSize[:], params.stride[:], params.dilationFactor[:] = [1, 1], [1, 1], [1, 1]
        params.valid.SetInParent()
        params.weights.MergeFromString(packed(weights))
        params.bias.MergeFromString(packed(bias))
        self.made.append(layer)

    def _free(self, wanted: str) -> str:
        name = wanted
        while name in self._taken:
            name = f"x{name}"
        self._taken.add(name)
        return name


def _rows(numbers: Sequence[Numbers]) -> Numbers:
    """[k, C] or [k, 1]."""
    width = max(len(row) for row in numbers)
    return np.stack([np.broadcast_to(row, width) for row in numbers])


def _channels(shape: Shape | None) -> int | None:
    return shape[-3] if shape is not None and len(shape) >= 4 else None


def named_kind(layer: NeuralNetworkLayer) -> str:
    """Return the kind of ``layer``; of an activation, its function."""
    kind = layer_kind(layer)
    return str(layer.activation.WhichOneof("NonlinearityType")) if kind == "activation" else kind
