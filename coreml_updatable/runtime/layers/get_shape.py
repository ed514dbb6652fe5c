"""getShape: the sizes of the input's axes. ``GetShapeLayerParams``. x of rank R -> [R]."""

import torch
from torch import nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    context.expect_inputs(1)
    return Function(lambda x: torch.tensor(x.shape, dtype=x.dtype))
