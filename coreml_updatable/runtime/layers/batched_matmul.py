"""batchedMatmul: y = a b over the last two axes, broadcast as in NumPy. ``BatchedMatMulLayerParams``.

Two inputs: a [..., m, n], b [..., n, k], each transposed if so set; of rank 1, a is [1, n] and b [n, 1], and these ones
stay in y. Transposing comes after that, which the format leaves open.
One input: y = x W + b, x [..., n], W [n, k] in column-major order, that is [k, n] in the file; b [k].
``int8DynamicQuantize``: see int8_weights.
"""

from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.int8_weights import int8_linear, int8_weights
from coreml_updatable.spec.messages import NeuralNetworkLayer


class MatMulWithWeights(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.batchedMatmul
        self.context = context
        self.inputs, outputs = int(params.weightMatrixFirstDimension), int(params.weightMatrixSecondDimension)
        self.int8 = (
            int8_weights(params.weights, (outputs, self.inputs), context) if params.int8DynamicQuantize else None
        )
        self.weights = None if self.int8 else context.parameter(params.weights, (outputs, self.inputs), "weights")
        self.bias = context.parameter(params.bias, (outputs,), "bias") if params.hasBias else None

    def forward(self, x: Tensor) -> Tensor:
        self.context.expect_rank(x, 1)
        self.context.expect_channels(x.shape[-1], self.inputs)
        if self.int8 is None:
            assert self.weights is not None
            return functional.linear(x, self.weights, self.bias)
        y = int8_linear(x, *self.int8)
        return y if self.bias is None else y + self.bias


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    params = layer.batchedMatmul
    if len(layer.input) == 1:
        return MatMulWithWeights(layer, context)
    context.expect_inputs(1, 2)

    def product(a: Tensor, b: Tensor) -> Tensor:
        a = a[None] if a.dim() == 1 else a
        b = b[:, None] if b.dim() == 1 else b
        return (a.mT if params.transposeA else a) @ (b.mT if params.transposeB else b)

    return Function(product)
