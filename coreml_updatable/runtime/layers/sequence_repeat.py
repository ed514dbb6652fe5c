"""sequenceRepeat: the whole sequence n times over. ``SequenceRepeatLayerParams``.

x [Seq, B, C, H, W] -> y [n Seq, B, C, H, W]. n is 1 if not set. Of a sequence longer than 1 the format does not say
whether it is repeated whole or step by step.
"""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import expect_shape
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    count = int(layer.sequenceRepeat.nRepetitions) or 1

    def repeat(x: Tensor) -> Tensor:
        context.expect_rank(x, 5)
        expect_shape([count, *x.shape], context)
        return x.repeat([1] * (x.dim() - 5) + [count, 1, 1, 1, 1])

    return Function(repeat)
