"""innerProduct: y = W x + b. ``InnerProductLayerParams``.

x [n], [m, n], [l, m, n]: over the last axis. x [m, C, H, W], [l, m, C, H, W]: over the last three, C H W = n, and the
output keeps the rank as [..., k, 1, 1]. W [k, n], b [k]. ``int8DynamicQuantize``: see int8_weights.
"""

from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.int8_weights import int8_linear, int8_weights
from coreml_updatable.spec.messages import NeuralNetworkLayer


class InnerProduct(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.innerProduct
        self.context = context
        self.inputs, self.outputs = int(params.inputChannels), int(params.outputChannels)
        shape = (self.outputs, self.inputs)
        self.int8 = int8_weights(params.weights, shape, context) if params.int8DynamicQuantize else None
        self.weights = None if self.int8 else context.parameter(params.weights, shape, "weights")
        self.bias = context.parameter(params.bias, (self.outputs,), "bias") if params.hasBias else None

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() <= 3:
            self.context.expect_channels(x.shape[-1], self.inputs)
            return self._product(x)
        self.context.expect_channels(x.shape[-3:].numel(), self.inputs)
        return self._product(x.flatten(-3))[..., None, None]

    def _product(self, x: Tensor) -> Tensor:
        if self.int8 is None:
            assert self.weights is not None
            return functional.linear(x, self.weights, self.bias)
        y = int8_linear(x, *self.int8)
        return y if self.bias is None else y + self.bias


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return InnerProduct(layer, context)
