"""sliceStatic: x[begin:end:stride] on every axis, as in NumPy. ``SliceStaticLayerParams``.

A mask set means from the start or to the end; a squeeze mask takes the single element at ``begin`` and drops the axis.
"""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.slicing import Section, cut
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    params = layer.sliceStatic
    rank = len(params.beginIds)
    section = Section(
        [int(begin) for begin in params.beginIds],
        [int(end) for end in params.endIds],
        [int(stride) for stride in params.strides] or [1] * rank,
        list(params.beginMasks) or [False] * rank,
        list(params.endMasks) or [False] * rank,
        list(params.squeezeMasks) or [False] * rank,
    )
    if {len(values) for values in vars(section).values()} != {rank}:
        raise context.misfit("begins, ends, strides and masks differ in length")

    def sliced(x: Tensor) -> Tensor:
        if x.dim() != rank:
            raise context.error(f"input has rank {x.dim()}, the layer expects {rank}")
        return cut(x, section, context)

    return Function(sliced)
