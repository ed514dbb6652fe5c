"""A layer without weights is a function of its inputs."""

from collections.abc import Callable

from torch import Tensor, nn


class Function(nn.Module):
    """Wraps a function from the layer's input tensors to its output, or to a tuple of outputs."""

    def __init__(self, function: Callable[..., Tensor | tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.function(*inputs)
