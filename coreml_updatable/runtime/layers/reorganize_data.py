"""reorganizeData: moves data between the channels and blocks of b x b pixels. ``ReorganizeDataLayerParams``.

SPACE_TO_DEPTH x [..., C, H, W] -> [..., b b C, H / b, W / b]; channel (i b + j) C + c takes pixel (i, j) of each block
of channel c. DEPTH_TO_SPACE is its reverse. PIXEL_SHUFFLE takes the channels in the order c b b + i b + j.
"""

from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer

SPACE_TO_DEPTH, DEPTH_TO_SPACE, PIXEL_SHUFFLE = 0, 1, 2


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    mode, size = layer.reorganizeData.mode, int(layer.reorganizeData.blockSize)
    if size < 2 or mode not in range(PIXEL_SHUFFLE + 1):
        raise context.misfit(f"mode {mode} with blockSize {size}, expected mode 0, 1 or 2 and at least 2")

    def reorganize(x: Tensor) -> Tensor:
        context.expect_rank(x, 3)
        channels, height, width = x.shape[-3:]
        if mode == SPACE_TO_DEPTH:
            if height % size or width % size:
                raise context.error(f"input has the shape {list(x.shape)}, which blocks of {size} x {size} do not fill")
            return _space_to_depth(x, size)
        if channels % size**2:
            raise context.error(f"input has {channels} channels, the layer expects a multiple of {size**2}")
        return functional.pixel_shuffle(x, size) if mode == PIXEL_SHUFFLE else _depth_to_space(x, size)

    return Function(reorganize)


def _space_to_depth(x: Tensor, size: int) -> Tensor:
    channels, height, width = x.shape[-3:]
    blocks = x.reshape(-1, channels, height // size, size, width // size, size)
    moved = blocks.permute(0, 3, 5, 1, 2, 4)
    return moved.reshape(*x.shape[:-3], size**2 * channels, height // size, width // size)


def _depth_to_space(x: Tensor, size: int) -> Tensor:
    channels, height, width = x.shape[-3:]
    blocks = x.reshape(-1, size, size, channels // size**2, height, width)
    moved = blocks.permute(0, 3, 4, 1, 5, 2)
    return moved.reshape(*x.shape[:-3], channels // size**2, height * size, width * size)
