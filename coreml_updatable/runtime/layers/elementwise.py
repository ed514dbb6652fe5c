"""average, max, min: elementwise over two or more inputs, broadcast. ``AverageLayerParams`` and its siblings."""

from functools import reduce

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def average(*inputs: Tensor) -> Tensor:
    return sum(inputs[1:], inputs[0]) / len(inputs)


def maximum(*inputs: Tensor) -> Tensor:
    return reduce(torch.maximum, inputs)


def minimum(*inputs: Tensor) -> Tensor:
    return reduce(torch.minimum, inputs)


FUNCTIONS = {"average": average, "max": maximum, "min": minimum}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    return Function(FUNCTIONS[layer.WhichOneof("layer")])
