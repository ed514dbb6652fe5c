"""whereNonZero: the places of all values that are not 0, in row-major order. ``WhereNonZeroLayerParams``.

x of rank R -> [N, R], one multi-index a row; N depends on the values, and is 0 where all are 0.
"""

import torch
from torch import nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    context.expect_inputs(1)
    return Function(lambda x: torch.nonzero(x).to(x.dtype))
