"""logicalAnd, logicalOr, logicalXor, logicalNot: 1 where it holds, else 0. ``LogicalAndLayerParams`` and so on.

Any value but 0 counts as true. x1, x2 broadcast as in NumPy.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "logicalAnd": torch.logical_and,
    "logicalOr": torch.logical_or,
    "logicalXor": torch.logical_xor,
    "logicalNot": torch.logical_not,
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    kind = layer.WhichOneof("layer")
    context.expect_inputs(1 if kind == "logicalNot" else 2)
    function = FUNCTIONS[kind]

    def decide(*inputs: Tensor) -> Tensor:
        return function(*inputs).to(inputs[0].dtype)

    return Function(decide)
