"""reshape: the same values in ``targetShape``, in the order of channels first or channels last. ``ReshapeLayerParams``.

x [Seq, B, C, H, W]. Three sizes [C', H', W']: the axes before stay. Four [Seq', C', H', W']: the batch stays. Channels
last reads and fills as if C stood behind W. The format asks for rank 5; three sizes also do for rank 3 and 4. One size
may be -1, as onnx-coreml wrote it: it is what the others leave.
"""

from math import prod

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer

CHANNEL_LAST = 1


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    target = [int(size) for size in layer.reshape.targetShape]
    last = layer.reshape.mode == CHANNEL_LAST
    if len(target) not in (3, 4):
        raise context.misfit(f"targetShape has {len(target)} sizes, expected 3 or 4")
    if target.count(-1) > 1 or any(size < 1 and size != -1 for size in target):
        raise context.misfit(f"targetShape is {target}, expected sizes of at least 1, or one -1 among them")
    fixed = prod(size for size in target if size != -1)
    channels, height, width = target[-3:]

    def reshape(x: Tensor) -> Tensor:
        context.expect_rank(x, 3 if len(target) == 3 else 5)
        whole = len(target) == 4
        if whole:
            x = x.movedim(-5, -4)  # the batch before the sequence, which takes part
        lead = [*x.shape[:-4], target[0]] if whole else list(x.shape[:-3])
        ordered = x.movedim(-3, -1) if last else x
        count = prod(ordered.shape[-4 if whole else -3 :])
        if count % fixed if -1 in target else count != fixed:
            raise context.error(f"input has the shape {list(x.shape)}, which cannot become {target}")
        y = ordered.reshape([*lead, height, width, channels] if last else [*lead, channels, height, width])
        y = y.movedim(-1, -3) if last else y
        return y.movedim(-5, -4) if whole else y

    return Function(reshape)
