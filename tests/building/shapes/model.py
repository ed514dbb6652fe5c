"""The smallest network that tells the shapes apart."""

from torch import nn


def shape_network(classes: int) -> nn.Module:
    """RGB pictures [n, 3, 24, 24] -> logits [n, classes]."""
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, stride=2, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 24, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, classes),
    )
