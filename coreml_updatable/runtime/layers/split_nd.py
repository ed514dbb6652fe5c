"""splitND: ``numSplits`` equal parts along ``axis``, or parts of the ``splitSizes``. ``SplitNDLayerParams``.

x [A, D, B] -> an output [A, d, B] each, the sizes d adding up to D.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.context import Context
from coreml_updatable.runtime.layers.function import Function
from coreml_updatable.runtime.layers.sizes import axis_of
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    params = layer.splitND
    sizes = [int(size) for size in params.splitSizes]
    count = len(sizes) or int(params.numSplits)
    if count < 1 or count != len(layer.output):
        raise context.misfit(f"splits into {count} parts, expected {len(layer.output)}, as many as its outputs")

    def split(x: Tensor) -> tuple[Tensor, ...]:
        axis = axis_of(int(params.axis), x.dim(), context)
        length = x.shape[axis]
        if sum(sizes) != length if sizes else length % count:
            raise context.error(
                f"axis {axis} of the input has the size {length}, which {sizes or count} does not split"
            )
        return tuple(torch.split(x, sizes or length // count, axis))

    return Function(split)
