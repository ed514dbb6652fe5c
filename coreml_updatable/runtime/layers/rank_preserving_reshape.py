"""rankPreservingReshape: ``targetShape`` of the input's rank; 0 keeps a size, one -1 is inferred.
``RankPreservingReshapeLayerParams``."""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    target = [int(size) for size in layer.rankPreservingReshape.targetShape]

    def reshape(x: Tensor) -> Tensor:
        if x.dim() != len(target):
            raise context.error(f"input has rank {x.dim()}, the layer expects {len(target)}")
        return x.reshape([size or kept for size, kept in zip(target, x.shape, strict=True)])

    return Function(reshape)
