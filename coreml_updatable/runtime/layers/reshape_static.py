"""reshapeStatic: the same values in ``targetShape``; one -1 is inferred. ``ReshapeStaticLayerParams``."""

from torch import nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    shape = [int(size) for size in layer.reshapeStatic.targetShape]
    return Function(lambda x: x.reshape(shape))
