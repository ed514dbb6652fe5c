"""A layer without weights is a function of its inputs."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context

Formula: TypeAlias = Callable[..., Tensor | tuple[Tensor, ...]]


class Function(nn.Module):
    """Wraps a function from the layer's input tensors to its output, or to a tuple of outputs.

    ``in_place``: the same function, which writes its output into the memory of its input.
    """

    def __init__(self, function: Formula, in_place: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.function = function
        self.in_place = in_place

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.function(*inputs)


def function_of(context: Context, formulas: Mapping[str, Formula]) -> Function:
    """Build the layer from its kind's formula: (the layer's parameters, context, *input tensors) -> output."""
    return Function(partial(formulas[context.kind], context.params, context))
