"""YAMNet from the waveform on, with a head of one's own: the log-mel front end is inside the model."""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from .front_end import SAMPLES, LogMel
from .weights import URL, load_weights
from .yamnet import CLASSES, EMBEDDING, Body, Convolution

FILE = Path(__file__).parent / "yamnet.h5"
WARNING = (
    "RANDOM WEIGHTS: there is no yamnet.h5 in sample_models/sound_id, so the body of YAMNet has random weights and "
    f"knows no sounds; fetch {URL} into that folder and build again"
)


class SoundNetwork(nn.Module):
    """Waveforms [n, 15600] -> embedding of 1,024 -> logits [n, classes]. ``told`` is what a report should say."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.front_end, self.body = LogMel(), Body()
        self.head = nn.Linear(EMBEDDING, classes)
        self.told: dict[str, str] = {}

    def forward(self, waveforms: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(self.front_end(waveforms)))
        return logits


def sound_network(classes: int) -> nn.Module:
    """A new head on the frozen body; without yamnet.h5 the body is random, which is said."""
    network = SoundNetwork(classes)
    if FILE.is_file():
        load_weights(FILE, network.body)
        network.told = {"body": "YAMNet's own weights, read from yamnet.h5"}
    else:
        sys.stderr.write(f"{WARNING}\n")
        calibrate(network)
        network.told = {"body": "random weights", "warning": WARNING}
    network.body.requires_grad_(False)
    return network.eval()


def audioset_network(classes: int = CLASSES) -> nn.Module:
    """YAMNet as it was published, all 521 classes: logits. A ValueError without its file."""
    if not FILE.is_file():
        raise ValueError(f"needs yamnet.h5; fetch {URL} into {FILE.parent.name}")
    network = SoundNetwork(classes)
    load_weights(FILE, network.body, network.head)
    return network.requires_grad_(False).eval()


def calibrate(network: SoundNetwork) -> None:
    """Statistics for the normalisations of random weights, from tones and noises: else every answer is the same."""
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(SAMPLES) / 16_000
    pitch = 100 * 2 ** (torch.rand(24, 1, generator=generator) * 6)
    waves = torch.sin(2 * torch.pi * pitch * time) * torch.rand(24, 1, generator=generator)
    waves = waves + torch.randn(24, SAMPLES, generator=generator) * torch.rand(24, 1, generator=generator) ** 3
    with torch.no_grad():
        maps = network.front_end(waves)
        for layer in network.body.layers.values():
            assert isinstance(layer, Convolution)
            layer.normalization.momentum = None
            maps = layer.train()(maps)
    network.eval()
