"""How many weights a layer declares, beside how many the file holds."""

from collections.abc import Iterator
from math import prod

from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import NeuralNetworkLayer, WeightParams
from coreml_updatable.spec.storage import storage


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
