"""YAMNet's body: MobileNet-v1 on a patch of 96 x 64, to an embedding of 1,024.

https://github.com/tensorflow/models/tree/master/research/audioset/yamnet (Plakal and Ellis), the shape of its layers.
"""

from torch import Tensor, nn
from torch.nn.functional import pad

EMBEDDING, CLASSES = 1024, 521
EPSILON = 1e-4
# Channels and stride of the depthwise separable convolutions behind the first convolution, which has 32 and 2.
SEPARABLE = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)
FIRST = 32


class Convolution(nn.Module):
    """A convolution without bias, padded as TensorFlow's "same" pads, batch normalization without scale, ReLU."""

    def __init__(self, channels: int, new_channels: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, new_channels, kernel, stride, bias=False, groups=groups)
        self.normalization = nn.BatchNorm2d(new_channels, eps=EPSILON)
        # Of an even length, a stride of 2 needs one more at the end only; at a stride of 1, one on either side.
        self.padding = (0,) * 4 if kernel == 1 else (0, 1, 0, 1) if stride == 2 else (1,) * 4

    def forward(self, maps: Tensor) -> Tensor:
        answer: Tensor = self.normalization(self.convolution(pad(maps, self.padding))).relu()
        return answer


class Body(nn.Module):
    """Patches [n, 1, 96, 64] -> [n, 1024]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({"layer1/conv": Convolution(1, FIRST, 3, 2)})
        channels = FIRST
        for index, (new_channels, stride) in enumerate(SEPARABLE, start=2):
            self.layers[f"layer{index}/depthwise_conv"] = Convolution(channels, channels, 3, stride, channels)
            self.layers[f"layer{index}/pointwise_conv"] = Convolution(channels, new_channels, 1, 1)
            channels = new_channels

    def forward(self, patches: Tensor) -> Tensor:
        for layer in self.layers.values():
            patches = layer(patches)
        return patches.mean(dim=(2, 3))
