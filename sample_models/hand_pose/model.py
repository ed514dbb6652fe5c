"""A small dense network on the joints of a hand; where the hand is and how large does not matter to it."""

import torch
from torch import Tensor, nn

JOINTS = 21
FEATURES = 48


class HandNetwork(nn.Module):
    """Poses [n, 1, 3, 21] -> 48 features -> logits [n, classes]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.extractor = nn.Sequential(
            nn.Linear(3 * JOINTS, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, FEATURES), nn.ReLU()
        )
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, poses: Tensor) -> Tensor:
        places = poses[:, 0, :2]
        places = places - places.mean(dim=2, keepdim=True)
        size = (places * places).mean(dim=2, keepdim=True).mean(dim=1, keepdim=True).sqrt()
        joints = torch.cat([places / (size + 1e-4), poses[:, 0, 2:]], dim=1)
        logits: Tensor = self.head(self.extractor(joints.flatten(1)))
        return logits


def hand_network(classes: int) -> nn.Module:
    return HandNetwork(classes)
