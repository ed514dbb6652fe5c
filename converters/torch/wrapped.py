"""A network called in another way: its inputs changed before, or its output after."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Wrapped(nn.Module):
    """A module that answers ``call(network, *batches)``."""

    def __init__(self, network: nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.network, self._call = network, call

    def forward(self, *batches: Tensor) -> Any:
        return self._call(self.network, *batches)
