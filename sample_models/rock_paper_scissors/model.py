"""A small SqueezeNet (Iandola et al. 2016): fire modules, a few hundred thousand weights less than the published one.

The published network ends in a convolution of 1 x 1 and the mean over the picture. The mean comes first here: the two
are linear and may change places, and a linear layer is what a phone can train.
"""

from torch import Tensor, cat, nn


def squeeze_network(classes: int) -> nn.Module:
    """Pictures [n, 3, 64, 64] -> 96 features -> logits [n, classes]."""
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, stride=2, padding=1, bias=False),  # 32 x 32
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 16 x 16
        Fire(24, 8, 24),
        Fire(48, 8, 24),
        nn.MaxPool2d(2),  # 8 x 8
        Fire(48, 16, 32),
        Fire(64, 16, 48),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(96, classes),
    )


class Fire(nn.Module):
    """A squeeze of 1 x 1 convolutions, and an expansion of 1 x 1 and 3 x 3 ones side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = block(channels, squeezed, 1)
        self.expand1 = block(squeezed, expanded, 1)
        self.expand3 = block(squeezed, expanded, 3)

    def forward(self, maps: Tensor) -> Tensor:
        squeezed = self.squeeze(maps)
        return cat([self.expand1(squeezed), self.expand3(squeezed)], 1)


def block(channels: int, new_channels: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, new_channels, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(new_channels), nn.ReLU())
