"""stack: inputs of one shape side by side on a new axis. ``StackLayerParams``.

n inputs of rank R -> rank R + 1, of size n at ``axis`` of the output; a negative axis counts from the output's end.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    axis = int(layer.stack.axis)

    def stack(*inputs: Tensor) -> Tensor:
        shapes = [list(x.shape) for x in inputs]
        if any(shape != shapes[0] for shape in shapes):
            raise context.error(f"inputs have the shapes {shapes}, the layer expects equal ones")
        return torch.stack(inputs, axis)

    return Function(stack)
