"""A temporal convolution over the joints of a hand; where the hand starts and how large it is does not matter to it."""

import torch
from torch import Tensor, nn

FEATURES = 48


class ActionNetwork(nn.Module):
    """Frames [n, 30, 3, 21] -> 48 features -> logits [n, classes]. How the hand moves across the picture counts."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.motion = nn.Sequential(
            nn.Conv1d(63, 64, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv1d(64, 64, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv1d(64, 64, 3, padding=1),
            nn.ReLU(),
        )
        self.extractor = nn.Sequential(nn.Linear(64, FEATURES), nn.ReLU())
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, frames: Tensor) -> Tensor:
        places = frames[:, :, :2]
        centre = places.mean(dim=3, keepdim=True)
        spread = (places - centre) * (places - centre)
        size = spread.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True).mean(dim=1, keepdim=True).sqrt()
        places = (places - centre.mean(dim=1, keepdim=True)) / (size + 1e-4)
        joints = torch.cat([places, frames[:, :, 2:]], dim=2).flatten(2)
        moved = self.motion(joints.transpose(1, 2)).mean(dim=2)
        logits: Tensor = self.head(self.extractor(moved))
        return logits


def action_network(classes: int) -> nn.Module:
    return ActionNetwork(classes)
