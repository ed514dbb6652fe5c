"""A head that begins anew: the trained layers forget what they knew, the extractor before them stays."""

from collections.abc import Sequence
from math import prod, sqrt

import numpy as np

from coreml_updatable.marking.head import write_floats, write_weights
from coreml_updatable.marking.widening import weight_shape, widen_layer
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.messages import NeuralNetwork, NeuralNetworkLayer
from coreml_updatable.spec.weight_fields import weight_count, weight_fields


def renew(network: NeuralNetwork, numbers: Sequence[int], last: int | None, outputs: int, seed: int) -> None:
    """New weights for the layers ``numbers``, in place, by chance from ``seed``; layer ``last`` gets ``outputs``.

    Weights and bias are uniform between -1/sqrt(n) and 1/sqrt(n), n the numbers that one output reads: what PyTorch
    gives ``nn.Linear`` and ``nn.Conv2d`` (``reset_parameters``: He's uniform bound with a = sqrt(5)). Of ``nn.LSTM`` n
    is the length of its output.
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
        chance = _chance(seed, number)
        weights = chance.uniform(-bound, bound, shape).astype(np.float32)
        params = getattr(layer, layer_kind(layer))
        biases = outputs if number == last else int(params.outputChannels)
        bias = chance.uniform(-bound, bound, biases).astype(np.float32) if params.hasBias else None
        write_weights(layer, weights, bias, biases)


def _renew_recurrent(layer: NeuralNetworkLayer, number: int, seed: int) -> None:
    widen_layer(layer, place(number, layer))
    bound = 1 / sqrt(max(1, int(layer.uniDirectionalLSTM.outputVectorSize)))
    chance = _chance(seed, number)
    for _, weights in weight_fields(layer):
        write_floats(weights, chance.uniform(-bound, bound, weight_count(weights)).astype(np.float32))


def _chance(seed: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed % 2**64, number])
