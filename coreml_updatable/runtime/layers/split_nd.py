"""splitND: ``numSplits`` parts along ``axis``, or parts of the ``splitSizes``. ``SplitNDLayerParams``.

x [A, D, B] -> an output [A, d, B] each, the sizes d adding up to D. ``numSplits`` that does not divide D gives unequal
parts, as numpy.array_split does: the first D mod ``numSplits`` are longer by one.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import axis_of
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
        if sum(sizes) != length if sizes else length < count:
            expected = f"{sum(sizes)} to be split into {sizes}" if sizes else f"at least {count}, one for each part"
            raise context.error(f"axis {axis} of the input has the size {length}, expected {expected}")
        return tuple(torch.split(x, sizes, axis) if sizes else torch.tensor_split(x, count, axis))

    return Function(split)
