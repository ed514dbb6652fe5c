"""fillLike, fillStatic, fillDynamic: a blob full of ``value``. ``FillLikeLayerParams`` and so on.

The shape is the input's (like), ``targetShape`` (static), or what the input, a blob [R], holds (dynamic).
"""

import torch
from torch import nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import expect_shape, integers
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    kind = layer.WhichOneof("layer")
    value = getattr(layer, kind).value
    if kind == "fillStatic":
        shape = expect_shape([int(size) for size in layer.fillStatic.targetShape], context)
        return Function(lambda *_: torch.full(shape, value))
    context.expect_inputs(1)
    if kind == "fillLike":
        return Function(lambda x: torch.full(x.shape, value, dtype=x.dtype))
    return Function(lambda shape: torch.full(expect_shape(integers(shape, context), context), value, dtype=shape.dtype))
