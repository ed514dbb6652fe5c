"""The lunch classifier: small enough to train on two cores in half a minute, on pictures of 128 x 128 pixels."""

from torch import nn


def lunch_network(classes: int) -> nn.Module:
    """Pictures [n, 3, 128, 128] -> 96 features -> logits [n, classes]."""
    return nn.Sequential(
        *block(3, 16, stride=2),  # 64 x 64
        *block(16, 32, stride=2),  # 32 x 32
        *block(32, 48, stride=2),  # 16 x 16
        *block(48, 64, stride=1),
        *block(64, 96, stride=2),  # 8 x 8
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(96, classes),
    )


def block(channels: int, new_channels: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, new_channels, 3, stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(new_channels), nn.ReLU()]
