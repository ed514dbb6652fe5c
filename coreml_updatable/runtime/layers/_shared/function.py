"""A layer without weights is a function of its inputs."""

from collections.abc import Callable

from torch import Tensor, nn


class Function(nn.Module):
    """Wraps a function from the layer's input tensors to its output, or to a tuple of outputs.

    ``in_place``: the same function, which writes its output into the memory of its input.
    """

    def __init__(
        self,
        function: Callable[..., Tensor | tuple[Tensor, ...]],
        in_place: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.function = function
        self.in_place = in_place

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.function(*inputs)
