"""layerNormalization: y = gamma (x - mean) / sqrt(variance + eps) + beta. ``LayerNormalizationLayerParams``.

Mean and variance are over the last axes, whose sizes are ``normalizedShape``; gamma and beta have that shape.
"""

from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.messages import NeuralNetworkLayer


class LayerNormalization(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.layerNormalization
        self.context = context
        self.shape = [int(size) for size in params.normalizedShape]
        self.eps = params.eps
        if not self.shape or min(self.shape) < 1:
            raise context.misfit(f"normalizedShape is {self.shape}, expected positive sizes")
        self.gamma = context.parameter(params.gamma, self.shape, "gamma")
        self.beta = context.parameter(params.beta, self.shape, "beta")

    def forward(self, x: Tensor) -> Tensor:
        if list(x.shape[-len(self.shape) :]) != self.shape:
            raise self.context.error(
                f"input has the shape {list(x.shape)}, the layer expects it to end in {self.shape}"
            )
        return functional.layer_norm(x, self.shape, self.gamma, self.beta, self.eps)


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return LayerNormalization(layer, context)
