"""add: y = x1 + x2 + ..., or x + alpha if there is one input. ``AddLayerParams``.

The limited broadcasting of the format ([B, 1, 1, 1], [B, C, 1, 1], ...) is a part of torch's.
"""

from functools import reduce
from operator import add

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    alpha = layer.add.alpha

    def total(*inputs: Tensor) -> Tensor:
        return inputs[0] + alpha if len(inputs) == 1 else reduce(add, inputs)

    return Function(total)
