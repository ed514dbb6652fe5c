"""Per-channel normalisation inside the network, exactly as the weights were trained with it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from coreml_updatable.errors import SourceError


def normalised(
    network: nn.Module, mean: Sequence[float] | None, std: Sequence[float] | None, channels: int
) -> nn.Module:
    """``network((x - mean) / std)`` for x in 0..1, written as x * a + b: one ``batchnorm`` layer when converted.

    Core ML's own preprocessing has one scale for all channels, which can not say this.
    """
    mean = _a_channel(mean if mean is not None else [0.0] * channels, "mean", channels)
    std = _a_channel(std if std is not None else [1.0] * channels, "std", channels)

    class Normalised(nn.Module):
        scale: Tensor
        shift: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.register_buffer("scale", (1 / torch.tensor(std, dtype=torch.float64)).float().view(1, -1, 1, 1))
            shift = -torch.tensor(mean, dtype=torch.float64) / torch.tensor(std, dtype=torch.float64)
            self.register_buffer("shift", shift.float().view(1, -1, 1, 1))

        def forward(self, pictures: Tensor) -> Tensor:
            answer: Tensor = self.network(pictures * self.scale + self.shift)
            return answer

    return Normalised()


def _a_channel(values: Sequence[float], name: str, channels: int) -> list[float]:
    if len(values) != channels:
        raise SourceError(
            f"source.{name} has {len(values)} values, expected {channels}, one a channel of the input; correct it"
        )
    return list(values)
