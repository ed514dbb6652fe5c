"""A network laid out as Wav2Vec2 (Baevski and others 2020), small enough to be trained from nothing on two cores.

Convolutions make features out of the waveform, a transformer relates them, and their mean and spread over time are
classified (as x-vectors are pooled: Snyder and others 2018). What made the real one famous, learning from thousands of
hours without labels, it has not had.
"""

import torch
from torch import Tensor, nn

WIDTH, HEADS, FEATURES = 48, 4, 48
STEPS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2))  # kernel and stride, as Wav2Vec2's first five of seven


class Attention(nn.Module):
    """softmax(q k^T / sqrt(d)) v over all frames, in several heads."""

    def __init__(self) -> None:
        super().__init__()
        self.together = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, frames: Tensor) -> Tensor:
        """[n, frames, width] -> the same."""
        depth = WIDTH // HEADS
        query, key, value = self.together(frames).split(WIDTH, dim=2)
        heads = [
            torch.softmax(
                query[:, :, index : index + depth] @ key[:, :, index : index + depth].transpose(1, 2) * depth**-0.5,
                dim=2,
            )
            @ value[:, :, index : index + depth]
            for index in range(0, WIDTH, depth)
        ]
        answer: Tensor = self.out(torch.cat(heads, dim=2))
        return answer


class Block(nn.Module):
    """A layer of the transformer, normalized after each half as in Wav2Vec2's base."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.first = nn.LayerNorm(WIDTH)
        self.forth = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))
        self.second = nn.LayerNorm(WIDTH)

    def forward(self, frames: Tensor) -> Tensor:
        frames = self.first(frames + self.attention(frames))
        answer: Tensor = self.second(frames + self.forth(frames))
        return answer


class SpeakerNetwork(nn.Module):
    """Waveforms [n, 12000] -> 48 features -> logits [n, classes]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for kernel, stride in STEPS:
            layers += [nn.Conv1d(channels, WIDTH, kernel, stride), nn.BatchNorm1d(WIDTH), nn.GELU()]
            channels = WIDTH
        self.convolutions = nn.Sequential(*layers)
        self.positions = nn.Conv1d(WIDTH, WIDTH, 9, padding=4, groups=WIDTH)
        self.block = Block()
        self.project = nn.Sequential(nn.Linear(2 * WIDTH, FEATURES), nn.ReLU())
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, waveforms: Tensor) -> Tensor:
        # Loud and soft recordings are the same voice: as Wav2Vec2's feature extractor scales them.
        size = (waveforms * waveforms).mean(dim=1, keepdim=True).sqrt()
        waveforms = waveforms / (size + 1e-5)
        if self.training:
            waveforms = heard_otherwise(waveforms)
        frames = self.convolutions(waveforms.unsqueeze(1))
        frames = (frames + torch.nn.functional.gelu(self.positions(frames))).transpose(1, 2)
        frames = self.block(frames)
        # A voice is known by how it moves as well as by where it is.
        mean = frames.mean(dim=1)
        spread = ((frames * frames).mean(dim=1) - mean * mean + 1e-4).sqrt()
        logits: Tensor = self.head(self.project(torch.cat([mean, spread], dim=1)))
        return logits


def heard_otherwise(waveforms: Tensor) -> Tensor:
    """Another moment of the same voices, for training: turned in time, of either sign, a tenth left out, some noise."""
    count, length = waveforms.shape
    places = (torch.arange(length) + torch.randint(length, (count, 1))) % length
    moved = waveforms.gather(1, places) * (torch.randint(2, (count, 1)) * 2 - 1)
    quiet = torch.arange(length) - torch.randint(length, (count, 1))
    moved = moved.masked_fill((quiet >= 0) & (quiet < length // 10), 0.0)
    return moved + torch.randn_like(moved) * 0.1 * torch.rand(count, 1)


def speaker_network(classes: int) -> nn.Module:
    return SpeakerNetwork(classes)
