"""The precision of a frozen extractor's weights: 32-bit or 16-bit floats, or 8 bits with a scale for each channel."""

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.widening import widen_halves, widen_layer
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer, WeightParams, copy_of
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.storage import storage, weight_fields
from coreml_updatable.spec.weights import packed_floats

BITS = (32, 16, 8)
_LAYERS = ("convolution", "innerProduct")
_FEWEST = 16  # weights a channel below which a scale and a bias of their own cost more than they save
_MAX_HALF = float(np.finfo(np.float16).max)


def with_bits(extractor: Model, bits: int) -> Model:
    """Return the plain network ``extractor`` with weights of ``bits``.

    32: floats, even if they were 16-bit or quantized. 16: every float weight as a 16-bit float. 8: the weights of
    convolutions and innerProducts as scale * n + bias, where n is 0 to 255, with one scale and bias per output channel
    (``LinearQuantizationParams``); biases, depthwise convolutions and deconvolutions keep 32 bits. Raises ModelError
    for weights that are not finite, or too large for 16 bits.
    """
    if bits not in BITS:
        raise ModelError(f"bits: found {bits}, expected 32, 16 or 8; choose one of them")
    if extractor.WhichOneof("Type") != "neuralNetwork":
        kind = extractor.WhichOneof("Type")
        raise ModelError(f"extractor: is a {kind}, expected a plain network when changing its bits; omit the bits")
    result = copy_of(extractor)
    network = network_of(result)
    for index, layer in enumerate(network.layers):
        if layer_kind(layer) in _LAYERS and _quantized(layer):
            widen_layer(layer, place(index, layer))
        elif _quantized(layer):
            raise ModelError(
                f"{place(index, layer)}: is a {layer_kind(layer)} with quantized weights, expected these only in "
                "convolutions and innerProducts; export the model without quantization"
            )
    widen_halves(network)
    for index, layer in enumerate(network.layers if bits < 32 else []):
        if bits == 16:
            _halve(layer, place(index, layer))
        elif layer_kind(layer) in _LAYERS:
            _quantize(layer, place(index, layer))
    return result


def fewest_bits(extractor: Model) -> int:
    """Return the smallest precision of any weight of a plain network, in bits; 32 for another type of model."""
    if extractor.WhichOneof("Type") != "neuralNetwork":
        return 32
    result = {storage(weights) for layer in network_of(extractor).layers for _, weights in weight_fields(layer)}
    return 8 if result & {"raw", "int8"} else 16 if "float16" in result else 32


def _quantized(layer: NeuralNetworkLayer) -> bool:
    return any(storage(weights) in ("raw", "int8") for _, weights in weight_fields(layer))


def _halve(layer: NeuralNetworkLayer, where: str) -> None:
    for name, weights in weight_fields(layer):
        if storage(weights) != "float32":
            continue
        values = _finite(weights, f"{where}: {name}")
        largest = float(np.abs(values).max())
        if largest > _MAX_HALF:
            raise ModelError(f"{where}: {name} hold {largest:g}, 16 bits hold {_MAX_HALF:g} at most; keep 32 bits")
        weights.ClearField("floatValue")
        weights.float16Value = values.astype("<f2").tobytes()


def _quantize(layer: NeuralNetworkLayer, where: str) -> None:
    """Weights [K, ...] of K output channels; n = round((w - min) / scale), scale = (max - min) / 255."""
    params = getattr(layer, layer_kind(layer))
    if layer_kind(layer) == "convolution" and params.isDeconvolution:
        return
    values = _finite(params.weights, f"{where}: weights")
    channels = max(1, int(params.outputChannels))
    if storage(params.weights) != "float32" or len(values) % channels or len(values) // channels < _FEWEST:
        return
    rows = values.reshape(channels, -1).astype(np.float64)
    least = rows.min(axis=1)
    scale = ((rows.max(axis=1) - least) / 255).astype(np.float32)
    divisor = np.where(scale > 0, scale, 1).astype(np.float64)
    steps = np.clip(np.rint((rows - least[:, None]) / divisor[:, None]), 0, 255).astype(np.uint8)
    weights = params.weights
    weights.Clear()
    weights.rawValue = steps.tobytes()
    weights.quantization.numberOfBits = 8
    weights.quantization.linearQuantization.scale.extend(scale.tolist())
    weights.quantization.linearQuantization.bias.extend(least.astype(np.float32).tolist())


def _finite(weights: WeightParams, where: str) -> NDArray[np.float32]:
    values = packed_floats(weights)
    if not np.isfinite(values).all():
        raise ModelError(f"{where} contain NaN or infinite numbers, expected finite ones; train again")
    return values
