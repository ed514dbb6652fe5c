"""transpose: axis i of the output is axis ``axes[i]`` of the input. ``TransposeLayerParams``."""

from torch import nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    axes = [int(axis) for axis in layer.transpose.axes]
    return Function(lambda x: x.permute(axes))
