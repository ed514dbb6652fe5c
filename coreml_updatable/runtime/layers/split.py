"""split: n equal parts along axis -3, an output each. ``SplitLayerParams``. x [..., C, H, W] -> [..., C / n, H, W]."""

from torch import Tensor, nn

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    count = int(layer.split.nOutputs)
    if count < 1 or count != len(layer.output):
        raise ModelError(f"{context.where}: nOutputs is {count}, expected {len(layer.output)}, as many as its outputs")

    def split(x: Tensor) -> tuple[Tensor, ...]:
        context.expect_rank(x, 3)
        if x.shape[-3] % count:
            raise context.error(f"input has {x.shape[-3]} channels, which {count} outputs do not split")
        return tuple(x.chunk(count, -3))

    return Function(split)
