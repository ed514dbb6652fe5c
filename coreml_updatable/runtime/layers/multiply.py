"""multiply: y = x1 x2 ..., or alpha x if there is one input. ``MultiplyLayerParams``.

The limited broadcasting of the format ([B, 1, 1, 1], [B, C, 1, 1], ...) is a part of torch's.
"""

from functools import reduce
from operator import mul

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    alpha = layer.multiply.alpha

    def product(*inputs: Tensor) -> Tensor:
        return alpha * inputs[0] if len(inputs) == 1 else reduce(mul, inputs)

    return Function(product)
