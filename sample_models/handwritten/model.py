"""A network for handwritten digits of 32 x 32 pixels, in shades of gray."""

from torch import nn


def digit_network(classes: int) -> nn.Module:
    """Pictures [n, 1, 32, 32] -> 64 features -> logits [n, classes]."""
    return nn.Sequential(
        *block(1, 16, stride=1),  # 32 x 32
        *block(16, 32, stride=2),  # 16 x 16
        *block(32, 48, stride=2),  # 8 x 8
        *block(48, 64, stride=2),  # 4 x 4
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, classes),
    )


def block(channels: int, new_channels: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, new_channels, 3, stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(new_channels), nn.ReLU()]
