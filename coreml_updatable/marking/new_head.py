"""A head that begins anew: the trained layers forget what they knew, the extractor before them stays."""

from collections.abc import Sequence
from math import prod, sqrt

import numpy as np

from coreml_updatable.marking.head import write_weights
from coreml_updatable.marking.widening import weight_shape
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import NeuralNetwork


def renew(network: NeuralNetwork, numbers: Sequence[int], last: int | None, outputs: int, seed: int) -> None:
    """New weights for the layers ``numbers``, in place, by chance from ``seed``; layer ``last`` gets ``outputs``.

    Weights and bias are uniform between -1/sqrt(n) and 1/sqrt(n), n the numbers that one output reads: what PyTorch
    gives ``nn.Linear`` and ``nn.Conv2d`` (``reset_parameters``: He's uniform bound with a = sqrt(5)).
    """
    for number in numbers:
        layer = network.layers[number]
        shape = weight_shape(layer)
        if number == last:
            shape = (outputs, *shape[1:])
        bound = 1 / sqrt(max(1, prod(shape[1:])))
        chance = np.random.default_rng([seed % 2**64, number])
        weights = chance.uniform(-bound, bound, shape).astype(np.float32)
        params = getattr(layer, layer_kind(layer))
        biases = outputs if number == last else int(params.outputChannels)
        bias = chance.uniform(-bound, bound, biases).astype(np.float32) if params.hasBias else None
        write_weights(layer, weights, bias, biases)
