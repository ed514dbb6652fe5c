"""The trained layers of a network, with separate weights for each of many owners, who all take a step together.

For heads of several layers; a single linear layer does not need this (personalization/linear_heads). The head is
recorded once for a number of rows (runtime/engine/tracing), and ``torch.vmap`` runs it for all owners. The loss is the
sum over the owners, so its gradient with respect to an owner's weights is that of the owner's own loss. Order,
mini-batches and optimizers are those of UpdateTask.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from coreml_updatable.runtime.engine.tracing import recorded
from coreml_updatable.updating.assumptions import Assumptions
from coreml_updatable.updating.network import GraphHead
from coreml_updatable.updating.training import owners_state

AT_A_TIME = 256  # rows of the base
BYTES_AT_ONCE = 1 << 26  # of the weights of owners that take a step together, so that memory stays bounded
Weights = list[NDArray[Any]]  # of each trained parameter, [O, ...]


class OwnersHead:
    """``names``, ``shapes``: the blobs that the head reads, side by side in a row's vector [D]."""

    def __init__(
        self, head: GraphHead, axis: int, optimizer: str, names: Sequence[str], shapes: Sequence[tuple[int, ...]]
    ) -> None:
        self._head, self._axis, self._optimizer = head, axis, optimizer
        self._names, self._shapes = list(names), list(shapes)
        self._functions: dict[int, Callable[..., tuple[Tensor, ...]]] = {}
        self._double = False
        self.base = [parameter.detach().numpy().copy() for parameter in head.parameters]

    def double(self) -> "OwnersHead":
        """Return the same head in double precision, for proofs."""
        self._functions, self._double = {}, True
        self.base = [array.astype(np.float64) for array in self.base]
        return self

    def of(self, owners: int) -> Weights:
        """Return the base weights, repeated for this number of owners."""
        return [np.repeat(array[None], owners, axis=0) for array in self.base]

    def base_logits(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the logits [n, K] of rows [n, D] with the base weights."""
        result = []
        weights = [torch.from_numpy(array[None]) for array in self.base]
        for start in range(0, len(rows), AT_A_TIME):
            part = rows[start : start + AT_A_TIME]
            padded = np.zeros((AT_A_TIME, part.shape[1]), part.dtype)
            padded[: len(part)] = part
            result.append(self._logits(torch.from_numpy(padded), weights)[0, : len(part)].numpy())
        return np.concatenate(result) if result else np.zeros((0, 0), rows.dtype)

    def logits(self, rows: NDArray[Any], weights: Weights) -> NDArray[Any]:
        """Return the logits [O, n, K] of each owner's rows [O, n, D], or of rows [n, D] shared by all owners."""
        with torch.no_grad():
            result = self._logits(torch.from_numpy(rows), [torch.from_numpy(array) for array in weights])
        return np.asarray(result.numpy())

    def trained(
        self,
        rows: NDArray[Any],
        targets: NDArray[np.int64],
        plan: Iterable[NDArray[np.int64]],
        parameters: Mapping[str, Any],
        assumptions: Assumptions,
        start: Weights | None = None,
    ) -> Weights:
        """The weights after one update on each owner's rows [O, S, D] in the mini-batches of ``plan``; ``start``: those
        of an earlier update, which this one goes on from."""
        mini_batches = list(plan)
        height = max(1, BYTES_AT_ONCE // sum(array.nbytes for array in self.base))
        if len(rows) > height:
            groups = []
            for first in range(0, len(rows), height):
                part = slice(first, first + height)
                before = None if start is None else [array[part] for array in start]
                groups.append(self.trained(rows[part], targets[part], mini_batches, parameters, assumptions, before))
            return [np.concatenate(item) for item in zip(*groups, strict=True)]
        weights = self.of(len(rows)) if start is None else [array.copy() for array in start]
        state = owners_state(self._optimizer, weights, assumptions)
        features, wanted = torch.from_numpy(rows), torch.from_numpy(targets)
        for batch in mini_batches:
            numbers = torch.from_numpy(batch)
            leaves = [torch.from_numpy(array).requires_grad_(True) for array in weights]
            with torch.enable_grad():
                logits = self._logits(features[:, numbers], leaves)
                losses = functional.cross_entropy(
                    logits.flatten(0, 1), wanted[:, numbers].flatten(), reduction="none"
                ).reshape(len(rows), -1)
                total = (losses.sum(1) if assumptions.gradient == "sum" else losses.mean(1)).sum()
                result = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
            with np.errstate(all="ignore"):
                state.step(weights, [gradient.numpy() for gradient in result], parameters)
        return weights

    def _logits(self, rows: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """[O, n, K]."""
        count = rows.shape[-2]
        blobs, start = [], 0
        for shape in self._shapes:
            size = int(np.prod(shape))
            blobs.append(rows[..., start : start + size].reshape(*rows.shape[:-1], *shape))
            start += size
        mine = 0 if rows.ndim == 3 else None
        function: Any = torch.vmap(self._function(count), in_dims=(*[mine] * len(blobs), *[0] * len(weights)))
        output: Tensor = function(*blobs, *weights)[0]
        return output.movedim(self._axis, 2).reshape(*output.shape[:2], -1)

    def _function(self, count: int) -> Callable[..., tuple[Tensor, ...]]:
        if count not in self._functions:
            values = [torch.zeros(count, *shape) for shape in self._shapes]
            with torch.enable_grad():
                result: Any = recorded(self._head.batched(self._names), values, self._head.parameters)
            self._functions[count] = result.double() if self._double else result
        return self._functions[count]
