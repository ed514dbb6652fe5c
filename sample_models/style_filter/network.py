"""The filter: a small convolutional network from a picture to the same picture in another style.

Johnson, Alahi and Fei-Fei, "Perceptual losses for real-time style transfer" (ECCV 2016), narrower, with Ulyanov's
instance normalization (2017) and upsampling by nearest neighbors instead of transposed convolutions, which leave
checkerboards (Odena, 2016).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, BLOCKS = 12, 4  # channels at full resolution; residual blocks at a quarter of it


class Convolution(nn.Module):
    """Reflection, a convolution, and instance normalization with a scale and a bias of each channel."""

    def __init__(self, channels: int, result: int, kernel: int, stride: int = 1, *, normalized: bool = True) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(kernel // 2)
        self.convolution = nn.Conv2d(channels, result, kernel, stride)
        self.normalize = nn.InstanceNorm2d(result, affine=True) if normalized else nn.Identity()

    def forward(self, values: Tensor) -> Tensor:
        answer: Tensor = self.normalize(self.convolution(self.pad(values)))
        return answer


class Block(nn.Module):
    """Two convolutions and what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = Convolution(channels, channels, 3), Convolution(channels, channels, 3)

    def forward(self, values: Tensor) -> Tensor:
        answer: Tensor = values + self.second(functional.relu(self.first(values)))
        return answer


class StyleNetwork(nn.Module):
    """Pictures float32 [n, 3, height, width] in 0..1, sides multiples of 4 -> the same shape and range."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            [
                Convolution(3, WIDTH, 7),
                Convolution(WIDTH, 2 * WIDTH, 3, 2),
                Convolution(2 * WIDTH, 4 * WIDTH, 3, 2),
            ]
        )
        self.blocks = nn.Sequential(*(Block(4 * WIDTH) for _ in range(BLOCKS)))
        self.up = nn.ModuleList([Convolution(4 * WIDTH, 2 * WIDTH, 3), Convolution(2 * WIDTH, WIDTH, 3)])
        self.last = Convolution(WIDTH, 3, 7, normalized=False)

    def forward(self, pictures: Tensor) -> Tensor:
        values = pictures
        for layer in self.down:
            values = functional.relu(layer(values))
        values = self.blocks(values)
        for layer in self.up:
            values = functional.relu(layer(functional.interpolate(values, scale_factor=2.0, mode="nearest")))
        return torch.sigmoid(self.last(values))
