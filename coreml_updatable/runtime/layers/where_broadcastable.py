"""whereBroadcastable: y = x1 where the condition is not 0, else x2. ``WhereBroadcastableLayerParams``.

Inputs: condition, x1, x2, broadcast to one shape as in NumPy.
"""

import torch
from torch import nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    context.expect_inputs(3)
    return Function(lambda condition, first, second: torch.where(condition != 0, first, second))
