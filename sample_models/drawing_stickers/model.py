"""A small network for drawings, with an embedding of 128 numbers."""

from torch import nn


def drawing_network(classes: int) -> nn.Module:
    """Drawings [n, 1, 28, 28] -> 128 features -> logits [n, classes]."""
    return nn.Sequential(
        *block(1, 16, stride=2),  # 14 x 14
        *block(16, 32, stride=1),
        *block(32, 64, stride=2),  # 7 x 7
        *block(64, 128, stride=2),  # 4 x 4
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(128, classes),
    )


def block(channels: int, new_channels: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, new_channels, 3, stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(new_channels), nn.ReLU()]
