"""gatherND: y[i] = x[indices[i, 0], ..., indices[i, L - 1]]. ``GatherNDLayerParams``.

x [D1, ..., DL, B] and indices [I, L] (I and B any number of axes) -> [I, B]. Negative indices count from the end, as in
gather; the format leaves that open here.
"""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    context.expect_inputs(2)

    def gather(x: Tensor, indices: Tensor) -> Tensor:
        expect_depth(indices, x.dim(), context)
        y = x[indices.long().unbind(-1)]
        return y if y.dim() else y.reshape(1)

    return Function(gather)


def expect_depth(indices: Tensor, rank: int, context: Context) -> None:
    """ModelError unless the multi-indices, the last axis of ``indices``, have 1 to ``rank`` places."""
    if not 1 <= indices.shape[-1] <= rank:
        raise context.error(f"multi-indices have {indices.shape[-1]} places, expected 1 to {rank}")
