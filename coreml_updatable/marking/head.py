"""The layer that computes the logits: find it, read and write its weights, give it more outputs or new weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError, with_article
from coreml_updatable.marking.building_blocks import drop_rank_hints
from coreml_updatable.marking.path import HEADS
from coreml_updatable.marking.widening import weight_shape, widen_layer
from coreml_updatable.spec.graph import consumers, layer_kind, place, producers
from coreml_updatable.spec.messages import Model, NeuralNetwork, NeuralNetwork_pb2, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.storage import weight_count, weight_fields
from coreml_updatable.spec.weights import decode, write_floats

Floats = NDArray[np.float32]
_POOLING = NeuralNetwork_pb2.PoolingLayerParams


@dataclass(frozen=True)
class Head:
    """Indices of the layer that computes the logits, of the layers between it and the softmax, and of the softmax."""

    number: int
    between: tuple[int, ...]
    softmax: int


def find_head(network: NeuralNetwork, softmax: int) -> Head:
    """Return the last innerProduct or convolution on the only path to ``softmax``; ModelError if branches join."""
    written, between, index = producers(network.layers), list[int](), softmax
    while True:
        layer = network.layers[index]
        before = written.get(str(layer.input[0])) if len(layer.input) == 1 else None
        if before is None:
            where = place(index, layer)
            raise ModelError(f"{where}: no innerProduct or convolution before it, expected the head there")
        if layer_kind(network.layers[before]) in HEADS:
            return Head(before, tuple(reversed(between)), softmax)
        between.append(before)
        index = before


def read_weights(layer: NeuralNetworkLayer, where: str) -> tuple[Floats, Floats]:
    """Return weights [outputs, ...] and bias [outputs], zero if the layer has none. Widens them to 32 bits in place."""
    widen_layer(layer, where)
    params = getattr(layer, layer_kind(layer))
    weights = decode(params.weights, weight_shape(layer), f"{where}: weights")
    outputs = int(params.outputChannels)
    bias = decode(params.bias, (outputs,), f"{where}: bias") if params.hasBias else np.zeros(outputs, np.float32)
    return weights, bias


def write_weights(layer: NeuralNetworkLayer, weights: Floats, bias: Floats | None, outputs: int) -> None:
    """Write weights in the file's layout and an optional bias [outputs], in place; the layer gets that many outputs."""
    params = getattr(layer, layer_kind(layer))
    params.outputChannels = outputs
    write_floats(params.weights, weights)
    params.hasBias = bias is not None
    if bias is not None:
        write_floats(params.bias, bias)


def change_outputs(model: Model, head: Head, old: int, new: int) -> None:
    """Change the layers after the head and their declared outputs from ``old`` to ``new`` classes, in place.

    Raises ModelError if the layers after the head do not treat each class separately, or if other layers read them.
    """
    network = network_of(model)
    _check_shared(network, head)
    _check_kind(network, head)
    for index in head.between:
        layer = network.layers[index]
        _check_between(index, layer)
        if layer_kind(layer) == "reshapeStatic":
            shape = layer.reshapeStatic.targetShape
            shape[:] = [new if length == old else length for length in shape]
    blobs = {str(network.layers[position].output[0]) for position in (head.number, *head.between, head.softmax)}
    drop_rank_hints(network.layers, blobs)
    for feature in model.description.output:
        if feature.name in blobs and feature.type.WhichOneof("Type") == "multiArrayType":
            shape = feature.type.multiArrayType.shape
            shape[:] = [new if length == old else length for length in shape]


def _check_kind(network: NeuralNetwork, head: Head) -> None:
    layer = network.layers[head.number]
    if layer_kind(layer) == "convolution" and (layer.convolution.isDeconvolution or layer.convolution.nGroups > 1):
        kind = "a deconvolution" if layer.convolution.isDeconvolution else "a convolution in groups"
        raise ModelError(
            f"{place(head.number, layer)}: is {kind}, expected a plain one, where outputs can be added or removed; "
            "export a network with an innerProduct as its head"
        )


def _check_shared(network: NeuralNetwork, head: Head) -> None:
    read = consumers(network.layers)
    for index in (head.number, *head.between):
        blob = str(network.layers[index].output[0])
        if len(read.get(blob, [])) > 1:
            raise ModelError(
                f"{place(index, network.layers[index])}: {len(read[blob])} layers read its output, expected 1, "
                "because a new number of classes would change the others, too; export the network without them"
            )


def _check_between(index: int, layer: NeuralNetworkLayer) -> None:
    kind = layer_kind(layer)
    pooled = kind == "pooling" and layer.pooling.type in (_POOLING.AVERAGE, _POOLING.MAX)
    if kind not in ("flatten", "reshapeStatic") and not pooled:
        raise ModelError(
            f"{place(index, layer)}: is {with_article(kind)}, expected only pooling and flattening between the head "
            "and the softmax; export the network without it"
        )


def renew(network: NeuralNetwork, numbers: Sequence[int], last: int | None, outputs: int, seed: int) -> None:
    """Initialize the layers ``numbers`` randomly from ``seed``, in place; layer ``last`` gets ``outputs``.

    Weights and biases are uniform between -1/sqrt(n) and 1/sqrt(n), where n is the number of inputs per output, as in
    PyTorch's ``nn.Linear`` and ``nn.Conv2d`` (``reset_parameters``: He's uniform bound with a = sqrt(5)). For
    ``nn.LSTM``, n is the length of its output.
    """
    for number in numbers:
        layer = network.layers[number]
        if layer_kind(layer) == "uniDirectionalLSTM":
            _renew_recurrent(layer, number, seed)
            continue
        shape = weight_shape(layer)
        if number == last:
            shape = (outputs, *shape[1:])
        bound = 1 / sqrt(max(1, prod(shape[1:])))
        generator = _generator(seed, number)
        weights = generator.uniform(-bound, bound, shape).astype(np.float32)
        params = getattr(layer, layer_kind(layer))
        biases = outputs if number == last else int(params.outputChannels)
        bias = generator.uniform(-bound, bound, biases).astype(np.float32) if params.hasBias else None
        write_weights(layer, weights, bias, biases)


def _renew_recurrent(layer: NeuralNetworkLayer, index: int, seed: int) -> None:
    widen_layer(layer, place(index, layer))
    bound = 1 / sqrt(max(1, int(layer.uniDirectionalLSTM.outputVectorSize)))
    generator = _generator(seed, index)
    for _, weights in weight_fields(layer):
        write_floats(weights, generator.uniform(-bound, bound, weight_count(weights)).astype(np.float32))


def _generator(seed: int, index: int) -> np.random.Generator:
    return np.random.default_rng([seed % 2**64, index])
