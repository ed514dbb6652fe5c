"""concat: joins its inputs along axis -3, or -5 (``sequenceConcat``). ``ConcatLayerParams``."""

import torch
from torch import nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    axis = -5 if layer.concat.sequenceConcat else -3
    return Function(lambda *inputs: torch.cat(inputs, axis))
