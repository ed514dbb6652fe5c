"""scatterND: y = container, then y[indices[i, 0], ..., indices[i, L - 1]] = updates[i] or +=. ``ScatterNDLayerParams``.

container [D1, ..., DL, B], indices [I, L], updates [I, B] (I and B any number of axes) -> the container's shape.
Negative indices count from the end, as in scatter. The format's comment has a negative one take "the entire slice";
its shape of the updates leaves no room for that.
"""

import math

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.scattering import expect_updates, mode_of, scattered
from coreml_updatable.runtime.layers.gather_nd import expect_depth
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(3)
    mode = mode_of(layer.scatterND, context)

    def scatter(container: Tensor, where: Tensor, updates: Tensor) -> Tensor:
        expect_depth(where, container.dim(), context)
        depth = where.shape[-1]
        outer, inner = container.shape[:depth], container.shape[depth:]
        expect_updates(updates.shape, (*where.shape[:-1], *inner), context)
        numbers = torch.arange(math.prod(outer)).reshape(outer)  # of the container's places, so that one index does
        rows = updates.reshape(-1, math.prod(inner))
        at = numbers[where.long().unbind(-1)].reshape(-1, 1).expand(rows.shape)
        flat = scattered(container.reshape(math.prod(outer), -1), 0, at, rows, mode)
        return flat.reshape(container.shape)

    return Function(scatter)
