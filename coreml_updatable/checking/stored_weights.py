"""Rules for the weights that a network stores: how many its layers declare, and how they are packed."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.graph import every_layer, layer_kind
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer, WeightParams
from coreml_updatable.spec.storage import filled_fields, storage

_LSTM_MATRICES = ("inputGate", "forgetGate", "blockInput", "outputGate")
_LSTM_PEEPHOLES = ("inputGate", "forgetGate", "outputGate")
_GRU_GATES = ("updateGate", "resetGate", "outputGate")


@dataclass(frozen=True)
class Declared:
    """``count`` numbers, quantized with one scale or one per channel; ``empty``: there may be none."""

    name: str
    weights: WeightParams
    count: int
    channels: int = 1
    empty: bool = False


def declared_weights(layer: NeuralNetworkLayer) -> Iterator[Declared]:
    """Yield every weight that a layer of this kind stores; nothing for kinds that store none."""
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
            yield from _with_bias(params, kernel * inner * outer, params.outputChannels)
        case "innerProduct":
            yield from _with_bias(
                params, params.inputChannels * params.outputChannels, params.outputChannels, empty=True
            )
        case "batchedMatmul" if len(layer.input) == 1:
            inner, outer = params.weightMatrixFirstDimension, params.weightMatrixSecondDimension
            yield from _with_bias(params, inner * outer, outer, empty=True)
        case "embedding":
            yield from _with_bias(params, params.inputDim * params.outputChannels, params.outputChannels)
        case "embeddingND":
            yield from _with_bias(params, params.vocabSize * params.embeddingSize, params.embeddingSize)
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
    yield from _with_bias(params, params.kernelChannels * outer * kernel, params.outputChannels)


def _with_bias(params: NeuralNetworkLayer, count: int, channels: int, *, empty: bool = False) -> Iterator[Declared]:
    yield Declared("weights", params.weights, int(count), int(channels), empty)
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


_FLOATS_ONLY = "layerNormalization"  # of its weights only the 32-bit floats are looked at
_UNMIXED = ("embedding", "embeddingND", "bias", "biDirectionalLSTM")  # of these the precisions are not compared


def weight_counts(model: Model) -> Iterator[Finding]:
    """A layer of any kind stores as many weights as it declares; packed weights have room for that many."""
    for where, layer in every_layer(model):
        for declared in declared_weights(layer):
            if layer_kind(layer) == _FLOATS_ONLY:
                if len(declared.weights.floatValue) != declared.count:
                    result = f"contains {len(declared.weights.floatValue)} 32-bit floats"
                    yield Finding(f"{where}: {declared.name}", result, str(declared.count))
            elif len(filled_fields(declared.weights)) < 2:  # of more another rule speaks
                at = f"{where}: {declared.name}"
                main = layer_kind(layer) == "convolution" and declared.name == "weights"
                yield from _counted(at, declared, of_convolution=main)


def one_precision(model: Model) -> Iterator[Finding]:
    """All weights of a layer have the same float precision, and each fills one storage field."""
    for where, layer in every_layer(model):
        declared = list(declared_weights(layer))
        for each in declared:
            filled = filled_fields(each.weights)
            if len(filled) > 1 and layer_kind(layer) != _FLOATS_ONLY:
                result = f"fills {' and '.join(filled)}"
                yield Finding(f"{where}: {each.name}", result, "one storage field", "clear the other")
        floats = {storage(each.weights) for each in declared} & {"float32", "float16"}
        if len(floats) > 1 and layer_kind(layer) not in _UNMIXED:
            yield Finding(where, "mixes 16-bit and 32-bit floats", "one precision", "convert all to 32 bits")


def convolution_weights(model: Model) -> Iterator[Finding]:
    """A convolution stores its weights, unless a second input provides them."""
    for where, layer in every_layer(model):
        if (
            layer_kind(layer) == "convolution"
            and len(layer.input) < 2
            and storage(layer.convolution.weights) in ("empty", "int8")
        ):
            yield Finding(where, "is a convolution without weights", "stored weights")


def products_hold_weights(model: Model) -> Iterator[Finding]:
    """An inner product or batchedMatmul stores its weights; Apple's compiler also accepts one without."""
    for where, layer in every_layer(model):
        for declared in declared_weights(layer):
            kind = storage(declared.weights)
            none = kind == "empty" or (kind == "raw" and not declared.weights.HasField("quantization"))
            if declared.empty and declared.count and none:
                yield Finding(f"{where}: {declared.name}", "holds no readable weights", f"{declared.count} numbers")


def _counted(where: str, declared: Declared, *, of_convolution: bool) -> Iterator[Finding]:
    weights = declared.weights
    match storage(weights) if declared.empty or not weights.int8RawValue else "empty":  # only products read 8-bit ones
        case "float32":
            held = len(weights.floatValue)
        case "float16":
            held = len(weights.float16Value) // 2
        case "empty":
            if not declared.empty and not of_convolution:  # of convolutions another rule speaks
                yield Finding(where, "holds no values", str(declared.count))
            return
        case _:
            yield from _packed(where, declared)
            return
    if held != declared.count:
        yield Finding(where, f"contains {held} values", str(declared.count))


def _packed(where: str, declared: Declared) -> Iterator[Finding]:
    """Check quantized weights: enough bytes, and matching scales or a matching table."""
    weights = declared.weights
    if not weights.HasField("quantization") and declared.empty:
        return  # of these another rule speaks
    bits, room = int(weights.quantization.numberOfBits), 8 * (len(weights.rawValue) or len(weights.int8RawValue))
    if weights.int8RawValue:
        bits = 8
    if declared.count * bits > room:
        yield Finding(where, f"has room for {room // max(1, bits)} numbers of {bits} bits", str(declared.count))
    if weights.int8RawValue:
        return
    quantization, allowed = weights.quantization, {1, declared.channels}
    match quantization.WhichOneof("QuantizationType"):
        case "linearQuantization":
            scales, biases = len(quantization.linearQuantization.scale), len(quantization.linearQuantization.bias)
            if scales not in allowed or biases not in (0, scales):
                result = f"has {scales} scales and {biases} biases"
                yield Finding(where, result, f"one, or one per channel ({declared.channels})", "quantize again")
        case "lookupTableQuantization":
            length = len(quantization.lookupTableQuantization.floatValue)
            if not 1 <= bits <= 8 or length != 2**bits:
                yield Finding(where, f"has a table of {length} values for {bits} bits", "2^bits", "quantize again")
        case _ if not declared.empty:
            yield Finding(
                where, "holds packed numbers without quantization parameters", "a scale or a table", "quantize again"
            )
