"""EfficientNet-Lite, the EfficientNets without squeeze-and-excitation and swish, for phones.

Tan and Le, "EfficientNet" (ICML 2019); the Lite variants: github.com/tensorflow/tpu, models/official/efficientnet/lite.
Written from that description so that no other library is needed. The weights of three variants are ordinary Python
packages (``PACKAGES``), whose tensors have TensorFlow's order and names.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

EPSILON = 1e-3  # TensorFlow's, of the batch normalization
STEM, TOP = 32, 1280  # channels of the first and the last convolution, the same in every variant


@dataclass(frozen=True)
class StageSettings:
    """Blocks of one kind, one behind the other; the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


# EfficientNet-B0's, table 1 of the paper. The first and the last are not repeated more often in larger variants.
STAGES = (
    StageSettings(1, 3, 1, 1, 16),
    StageSettings(2, 3, 2, 6, 24),
    StageSettings(2, 5, 2, 6, 40),
    StageSettings(3, 3, 2, 6, 80),
    StageSettings(3, 5, 1, 6, 112),
    StageSettings(4, 5, 2, 6, 192),
    StageSettings(1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class Variant:
    """How much wider and deeper than ``STAGES``, and the side of its pictures in pixels."""

    width: float
    depth: float
    side: int


VARIANTS = {
    "efficientnet_lite0": Variant(1.0, 1.0, 224),
    "efficientnet_lite1": Variant(1.0, 1.1, 240),
    "efficientnet_lite2": Variant(1.1, 1.2, 260),
}


class SameConvolution(nn.Module):
    """TensorFlow's "same" padding and a convolution without a bias: the output has ceil(size / stride) pixels a side.

    Where an odd number of zeros is missing, the odd one lies at the bottom and the right, which no symmetric padding
    of torch's says. The numbers are those of the picture's size at the first call of a trace.
    """

    def __init__(self, channels: int, result: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, result, kernel, stride, groups=groups, bias=False)
        self.kernel, self.stride = kernel, stride

    def forward(self, values: Tensor) -> Tensor:
        height, width = (_zeros(int(side), self.kernel, self.stride) for side in values.shape[2:])
        if height == width and height[0] == height[1]:
            convolution = self.convolution
            answer: Tensor = nn.functional.conv2d(
                values, convolution.weight, None, self.stride, height[0], groups=convolution.groups
            )
            return answer
        padded: Tensor = self.convolution(pad(values, [*width, *height]))
        return padded


def _zeros(side: int, kernel: int, stride: int) -> tuple[int, int]:
    missing = max((ceil(side / stride) - 1) * stride + kernel - side, 0)
    return missing // 2, missing - missing // 2


class InvertedResidual(nn.Module):
    """An inverted residual block: wider by a 1x1 convolution, one convolution a channel, narrow again."""

    def __init__(self, channels: int, result: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [SameConvolution(channels, wide, 1), nn.BatchNorm2d(wide, EPSILON), nn.ReLU6()]
        layers += [SameConvolution(wide, wide, kernel, stride, groups=wide), nn.BatchNorm2d(wide, EPSILON), nn.ReLU6()]
        layers += [SameConvolution(wide, result, 1), nn.BatchNorm2d(result, EPSILON)]
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and channels == result

    def forward(self, values: Tensor) -> Tensor:
        answer: Tensor = self.layers(values)
        return answer + values if self.adds else answer


class EfficientNetLite(nn.Module):
    """Pictures float32 [n, 3, side, side], normalized -> logits [n, classes]; the features in front are [n, 1280].

    The order of its tensors is that of TensorFlow's files and of timm's ``tf_efficientnet_lite0``.
    """

    def __init__(self, variant: Variant, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(SameConvolution(3, STEM, 3, 2), nn.BatchNorm2d(STEM, EPSILON), nn.ReLU6())
        blocks = list(_blocks(variant))
        self.blocks = nn.Sequential(*blocks)
        last = _rounded(STAGES[-1].channels, variant.width)
        self.top = nn.Sequential(SameConvolution(last, TOP, 1), nn.BatchNorm2d(TOP, EPSILON), nn.ReLU6())
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(TOP, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        answer: Tensor = self.head(self.pool(self.top(self.blocks(self.stem(pictures)))))
        return answer


def _blocks(variant: Variant) -> Iterator[InvertedResidual]:
    channels = STEM
    for stage in STAGES:
        result = _rounded(stage.channels, variant.width)
        ends = stage in (STAGES[0], STAGES[-1])
        for index in range(stage.repeats if ends else ceil(stage.repeats * variant.depth)):
            yield InvertedResidual(channels, result, stage.kernel, stage.stride if index == 0 else 1, stage.expansion)
            channels = result


def _rounded(channels: int, width: float) -> int:
    """To a multiple of 8, never by more than a tenth down: ``round_filters`` of TensorFlow's code."""
    if width == 1.0:
        return channels
    wanted = channels * width
    result = max(8, int(wanted + 4) // 8 * 8)
    return result + 8 if result < 0.9 * wanted else result


def create(name: str, classes: int | None = None) -> nn.Module:
    """The variant ``name`` of ``VARIANTS`` with random weights."""
    with torch.no_grad():
        return EfficientNetLite(VARIANTS[name], classes or 1000)
