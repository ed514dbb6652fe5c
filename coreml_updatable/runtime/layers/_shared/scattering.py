"""What scatter, scatterND and scatterAlongAxis share: updates written into a container at indices, in seven modes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.messages import NeuralNetwork_pb2


def mode_of(params: Any, context: Context) -> str:
    """The mode's name in the format; ModelError if the format has no such mode."""
    modes = NeuralNetwork_pb2.ScatterMode
    if params.mode not in modes.values():
        raise context.misfit(f"the scatter mode {params.mode} is not known")
    return str(modes.Name(params.mode))


def expect_updates(found: Sequence[int], expected: Sequence[int], context: Context) -> None:
    if list(found) != list(expected):
        raise context.error(f"updates have the shape {list(found)}, the layer expects {list(expected)}")


def scattered(container: Tensor, axis: int, indices: Tensor, updates: Tensor, mode: str) -> Tensor:
    """container, with container[..., indices[..., i, ...], ...] = or += ... updates[..., i, ...] along ``axis``.

    indices (int64, not negative) and updates have one shape, the container's in all but ``axis``. Where an index comes
    twice, both updates count, and SCATTER_UPDATE keeps the last.
    """
    if not updates.numel():
        return container
    match mode:
        case "SCATTER_ADD":
            return container.scatter_add(axis, indices, updates)
        case "SCATTER_SUB":
            return container.scatter_add(axis, indices, -updates)
        case "SCATTER_MUL":
            return container.scatter_reduce(axis, indices, updates, "prod")
        case "SCATTER_DIV":
            return container / torch.ones_like(container).scatter_reduce(axis, indices, updates, "prod")
        case "SCATTER_MAX":
            return container.scatter_reduce(axis, indices, updates, "amax")
        case "SCATTER_MIN":
            return container.scatter_reduce(axis, indices, updates, "amin")
    count = updates.shape[axis]
    numbers = torch.arange(count).reshape([count if at == axis else 1 for at in range(updates.dim())])
    none = torch.full(container.shape, -1)
    last = none.scatter_reduce(axis, indices, numbers.expand(updates.shape), "amax")
    return torch.where(last < 0, container, updates.gather(axis, last.clamp(min=0)))
