"""The network of Apple's updatable MNIST classifier."""

from torch import nn


def mnist_network(classes: int) -> nn.Module:
    """Pictures [n, 1, 28, 28] -> logits [n, classes]."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(64 * 12 * 12, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, classes),
    )
