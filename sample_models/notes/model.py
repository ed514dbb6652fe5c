"""A head alone: the vectors come from MiniLM, which runs in the app."""

from typing import Any

from torch import Tensor, nn

SIZE = 384


class NotesNetwork(nn.Module):
    """Vectors [n, 384] -> logits [n, classes]. ``told`` is what a report should say."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(SIZE, classes)
        self.told: dict[str, Any] = {
            "encoder": "all-MiniLM-L6-v2, outside of the model",
            "license_of_the_weights": "Apache-2.0",
        }

    def forward(self, vectors: Tensor) -> Tensor:
        logits: Tensor = self.head(vectors)
        return logits


def notes_network(classes: int) -> nn.Module:
    return NotesNetwork(classes)
