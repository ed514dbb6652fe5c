"""Convert 16-bit and quantized weights to 32-bit floats, which Core ML requires in networks that it trains."""

import numpy as np

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.messages import NeuralNetwork, NeuralNetworkLayer
from coreml_updatable.spec.storage import storage, weight_fields
from coreml_updatable.spec.weights import decode, write_floats


def widen_layer(layer: NeuralNetworkLayer, where: str) -> None:
    """Convert all weights of a convolution, an innerProduct or a uniDirectionalLSTM to 32-bit floats, in place."""
    params = getattr(layer, layer_kind(layer))
    if layer_kind(layer) == "uniDirectionalLSTM":
        _widen_lstm(layer, where)
        return
    shape = weight_shape(layer)
    if storage(params.weights) != "float32":
        axis = int(layer_kind(layer) == "convolution" and params.isDeconvolution)  # of the output channels
        write_floats(params.weights, decode(params.weights, shape, f"{where}: weights", channel_axis=axis))
    if params.hasBias and storage(params.bias) != "float32":
        write_floats(params.bias, decode(params.bias, (int(params.outputChannels),), f"{where}: bias"))


def weight_shape(layer: NeuralNetworkLayer) -> tuple[int, ...]:
    """Of a convolution's or innerProduct's weights as the file has them; a deconvolution has its inputs first."""
    params = getattr(layer, layer_kind(layer))
    if layer_kind(layer) == "innerProduct":
        return int(params.outputChannels), int(params.inputChannels)
    if params.isDeconvolution:
        return int(params.kernelChannels), int(params.outputChannels) // max(1, int(params.nGroups)), *_kernel(layer)
    return int(params.outputChannels), int(params.kernelChannels), *_kernel(layer)


def widen_halves(network: NeuralNetwork) -> None:
    """Convert every 16-bit weight to a 32-bit float, in place: a single one makes the whole network 16-bit."""
    for index, layer in enumerate(network.layers):
        for name, weights in weight_fields(layer):
            if storage(weights) == "float16":
                if len(weights.float16Value) % 2:
                    raise ModelError(
                        f"{place(index, layer)}: {name} end with half of a 16-bit number; export the model again"
                    )
                write_floats(weights, np.frombuffer(weights.float16Value, "<f2").astype(np.float32))


def _widen_lstm(layer: NeuralNetworkLayer, where: str) -> None:
    inputs, size = int(layer.uniDirectionalLSTM.inputVectorSize), int(layer.uniDirectionalLSTM.outputVectorSize)
    lengths = {"WeightMatrix": (size, inputs), "RecursionMatrix": (size, size)}
    for name, weights in weight_fields(layer):
        shape = next((lengths[end] for end in lengths if name.endswith(end)), (size,))
        if storage(weights) not in ("float32", "empty"):
            write_floats(weights, decode(weights, shape, f"{where}: {name}"))


def _kernel(layer: NeuralNetworkLayer) -> tuple[int, ...]:
    return tuple(int(length) for length in layer.convolution.kernelSize) or (3, 3)
