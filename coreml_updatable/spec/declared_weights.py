"""How many numbers each weight of a layer must hold by the layer's own sizes, and how many the file holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import NeuralNetworkLayer, WeightParams
from coreml_updatable.spec.storage import storage

_LSTM_MATRICES = ("inputGate", "forgetGate", "blockInput", "outputGate")
_LSTM_PEEPHOLES = ("inputGate", "forgetGate", "outputGate")
_GRU_GATES = ("updateGate", "resetGate", "outputGate")


@dataclass(frozen=True)
class Declared:
    """``count`` numbers, quantized with one scale or one a channel of ``channels``; ``empty``: it may hold none."""

    name: str
    weights: WeightParams
    count: int
    channels: int = 1
    empty: bool = False


def declared_weights(layer: NeuralNetworkLayer) -> Iterator[Declared]:
    """Every weight that a layer of this kind stores; nothing for kinds that store none."""
    kind = layer_kind(layer)
    params: Any = getattr(layer, kind) if kind else None
    match kind:
        case "convolution" if len(layer.input) < 2:
            yield from _convolution(params)
        case "convolution3d":
            kernel = params.kernelDepth * params.kernelHeight * params.kernelWidth
            groups = max(1, params.nGroups)
            inner = params.outputChannels // groups if params.isDeconvolution else params.inputChannels // groups
            outer = params.inputChannels if params.isDeconvolution else params.outputChannels
            yield from _with_bias(params, "weights", kernel * inner * outer, params.outputChannels)
        case "innerProduct":
            yield from _with_bias(
                params, "weights", params.inputChannels * params.outputChannels, params.outputChannels, empty=True
            )
        case "batchedMatmul" if len(layer.input) == 1:
            inner, outer = params.weightMatrixFirstDimension, params.weightMatrixSecondDimension
            yield from _with_bias(params, "weights", inner * outer, outer, empty=True)
        case "embedding":
            yield from _with_bias(params, "weights", params.inputDim * params.outputChannels, params.outputChannels)
        case "embeddingND":
            yield from _with_bias(params, "weights", params.vocabSize * params.embeddingSize, params.embeddingSize)
        case "batchnorm":
            names = ("gamma", "beta") if params.computeMeanVar else ("gamma", "beta", "mean", "variance")
            yield from (Declared(name, getattr(params, name), int(params.channels)) for name in names)
        case "scale":
            yield _shaped("scale", params.scale, list(params.shapeScale))
            if params.hasBias:
                yield _shaped("bias", params.bias, list(params.shapeBias))
        case "bias":
            yield _shaped("bias", params.bias, list(params.shape))
        case "loadConstant":
            yield _shaped("data", params.data, list(params.shape))
        case "loadConstantND" if params.shape:
            yield Declared("data", params.data, prod(params.shape), int(params.shape[0]))
        case "layerNormalization" if params.normalizedShape:
            count = prod(params.normalizedShape)
            yield from (Declared(name, getattr(params, name), count) for name in ("gamma", "beta"))
        case "simpleRecurrent" | "gru" | "uniDirectionalLSTM" | "biDirectionalLSTM":
            yield from _recurrent(kind, params)


def _convolution(params: NeuralNetworkLayer) -> Iterator[Declared]:
    kernel = prod((*params.kernelSize[:2], *(3, 3))[:2]) if len(params.kernelSize) < 2 else prod(params.kernelSize[:2])
    groups = max(1, params.nGroups)
    outer = params.outputChannels // groups if params.isDeconvolution else params.outputChannels
    yield from _with_bias(params, "weights", params.kernelChannels * outer * kernel, params.outputChannels)


def _with_bias(
    params: NeuralNetworkLayer, name: str, count: int, channels: int, *, empty: bool = False
) -> Iterator[Declared]:
    yield Declared(name, getattr(params, name), int(count), int(channels), empty)
    if params.hasBias:
        yield Declared("bias", params.bias, int(channels), 1, empty)


def _shaped(name: str, weights: WeightParams, shape: list[int]) -> Declared:
    by_channel = len(shape) == 3 and shape[0] > 1
    return Declared(name, weights, prod(shape), shape[0] if by_channel else 1)


def _recurrent(kind: str, params: NeuralNetworkLayer) -> Iterator[Declared]:
    read, kept = int(params.inputVectorSize), int(params.outputVectorSize)
    if kind == "simpleRecurrent":
        yield Declared("weightMatrix", params.weightMatrix, read * kept, kept)
        yield Declared("recursionMatrix", params.recursionMatrix, kept * kept, kept)
        if params.hasBiasVector:
            yield Declared("biasVector", params.biasVector, kept)
        return
    directions = (
        list(params.weightParams) if kind == "biDirectionalLSTM" else [params if kind == "gru" else params.weightParams]
    )
    gates = _GRU_GATES if kind == "gru" else _LSTM_MATRICES
    biased = params.hasBiasVectors if kind == "gru" else params.params.hasBiasVectors
    peeping = kind != "gru" and params.params.hasPeepholeVectors
    for weights in directions:
        for gate in gates:
            yield Declared(f"{gate}WeightMatrix", getattr(weights, f"{gate}WeightMatrix"), read * kept, kept)
            yield Declared(f"{gate}RecursionMatrix", getattr(weights, f"{gate}RecursionMatrix"), kept * kept, kept)
            if biased:
                yield Declared(f"{gate}BiasVector", getattr(weights, f"{gate}BiasVector"), kept)
        for gate in _LSTM_PEEPHOLES if peeping else ():
            yield Declared(f"{gate}PeepholeVector", getattr(weights, f"{gate}PeepholeVector"), kept)


def expected_weights(layer: NeuralNetworkLayer) -> Iterator[tuple[str, WeightParams, int]]:
    """Of convolutions and inner products: name, message and declared count of the weights that are stored at all."""
    kind = layer_kind(layer)
    if kind not in ("convolution", "innerProduct"):
        return
    params = getattr(layer, kind)
    if kind == "innerProduct":
        count = params.outputChannels * params.inputChannels
    else:
        kernel = prod(params.kernelSize) if len(params.kernelSize) == 2 else 9
        groups = max(1, params.nGroups)
        channels = (
            params.kernelChannels,
            params.outputChannels // groups if params.isDeconvolution else params.outputChannels,
        )
        count = prod(channels) * kernel
    if storage(params.weights) == "empty":
        return  # an inner product may be empty; a convolution may be given its weights as a second input
    yield "weights", params.weights, int(count)
    if params.hasBias:
        yield "bias", params.bias, int(params.outputChannels)


def held_and_needed(weights: WeightParams, declared: int) -> tuple[int, int]:
    """Stored and needed counts; of quantized weights in bytes, since these are packed."""
    match storage(weights):
        case "float16":
            return len(weights.float16Value), 2 * declared
        case "int8":
            return len(weights.int8RawValue), declared
        case "raw":
            bits = int(weights.quantization.numberOfBits) or 8
            return len(weights.rawValue), -(-declared * bits // 8)
    return len(weights.floatValue), declared
