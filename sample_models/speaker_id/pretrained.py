"""Resemblyzer's speaker encoder in front of a new head; its weights are a file in a package of PyPI (Apache-2.0)."""

from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.installing import bare_command, packaged_file

from .encoder import SIZE, VoiceEncoder

PACKAGE, FILE = "resemblyzer", "resemblyzer/pretrained.pt"
SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
UNUSED = ("similarity_weight", "similarity_bias")  # of its own training


class SpeakerNetwork(nn.Module):
    """Waveforms [n, 48000] -> voices of 256 -> logits [n, classes]. ``told`` is what a report should say."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.encoder = VoiceEncoder()
        self.head = nn.Linear(SIZE, classes)
        self.told: dict[str, Any] = {"license_of_the_weights": "Apache-2.0", "encoder": "Resemblyzer's (GE2E)"}

    def forward(self, waveforms: Tensor) -> Tensor:
        logits: Tensor = self.head(self.encoder(waveforms))
        return logits


def speaker_network(classes: int) -> nn.Module:
    """A new head on the frozen encoder; a SourceError if its weights are not installed."""
    network = SpeakerNetwork(classes)
    network.encoder.load_state_dict(packaged_state(), strict=False)
    network.encoder.requires_grad_(False)
    return network.eval()


def packaged_state() -> dict[str, Tensor]:
    """The tensors of the encoder, of a file whose SHA-256 is known; nothing in it runs."""
    path = packaged_file(PACKAGE, FILE, SHA256, f"run: {bare_command(['resemblyzer==0.1.4'])}")
    state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    return {name: tensor for name, tensor in state.items() if name not in UNUSED}
