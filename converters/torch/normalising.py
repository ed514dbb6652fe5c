"""Per-channel normalization inside the network, exactly as in the training of the weights."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from coreml_updatable.errors import SourceError


def normalised(
    network: nn.Module, mean: Sequence[float] | None, std: Sequence[float] | None, channels: int
) -> nn.Module:
    """``network((x - mean) / std)`` for x in 0..1, written as x * a + b: one ``batchnorm`` layer when converted.

    Core ML's own preprocessing has one scale for all channels, which is not enough.
    """
    scales, shifts = scale_and_shift(mean, std, channels)

    class Normalised(nn.Module):
        scale: Tensor
        shift: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.register_buffer("scale", scales)
            self.register_buffer("shift", shifts)

        def forward(self, pictures: Tensor) -> Tensor:
            answer: Tensor = self.network(pictures * self.scale + self.shift)
            return answer

    return Normalised()


def scale_and_shift(mean: Sequence[float] | None, std: Sequence[float] | None, channels: int) -> tuple[Tensor, Tensor]:
    """a = 1 / std and b = -mean / std, float32 [1, channels, 1, 1], computed in 64 bits."""
    means = torch.tensor(
        _a_channel(mean if mean is not None else [0.0] * channels, "mean", channels), dtype=torch.float64
    )
    deviations = torch.tensor(
        _a_channel(std if std is not None else [1.0] * channels, "std", channels), dtype=torch.float64
    )
    return (1 / deviations).float().view(1, -1, 1, 1), (-means / deviations).float().view(1, -1, 1, 1)


def _a_channel(values: Sequence[float], name: str, channels: int) -> list[float]:
    if len(values) != channels:
        raise SourceError(
            f"source.{name} has {len(values)} values, expected {channels}, one per channel of the input; correct it"
        )
    return list(values)
