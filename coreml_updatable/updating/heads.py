"""The trainable part of a network: the usual last layer in closed form, any other by torch's differentiation.

With logits z = W x + b and p = softmax(z), the loss of a row is log(sum exp z) - z_t, and its gradient by z is p - e_t:
this is -log(softmax(z)_t) without the logarithm of a rounded number. No graph is built: a step costs microseconds.

For categorical cross entropy the last softmax is left out and log-softmax taken of what it reads, which gives the
gradient of -log(softmax) even where the softmax itself rounds to 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable import bounds
from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.engine.batched import Batched
from coreml_updatable.runtime.engine.program import Program, Step
from coreml_updatable.runtime.engine.weighing import weighed


class LinearHead:
    """``features`` [n, D], ``targets`` [n] class numbers. ``weights`` [K, D] and ``bias`` [K] change between calls.

    ``trained``: which of (weights, bias) are trained; the gradients come in that order.
    """

    def __init__(
        self,
        features: NDArray[Any],
        targets: NDArray[np.int64],
        weights: NDArray[Any],
        bias: NDArray[Any] | None,
        trained: Sequence[str],
    ) -> None:
        self._features, self._targets = features, targets
        self._weights, self._bias, self._trained = weights, bias, tuple(trained)

    def gradients(self, batch: NDArray[np.int64]) -> tuple[float, list[NDArray[Any]]]:
        """The mean loss of these rows, and its gradients."""
        x, targets = self._features[batch], self._targets[batch]
        logits = x @ self._weights.T
        if self._bias is not None:
            logits += self._bias
        logits -= logits.max(1, keepdims=True)
        exponentials = np.exp(logits)
        totals = exponentials.sum(1, keepdims=True)
        rows = np.arange(len(batch))
        loss = float((np.log(totals[:, 0]) - logits[rows, targets]).mean())
        by_logits = exponentials / totals
        by_logits[rows, targets] -= 1
        by_logits /= len(batch)
        found = {"weights": lambda: by_logits.T @ x, "bias": lambda: by_logits.sum(0)}
        return loss, [found[name]() for name in self._trained]


class GraphHead:
    """``features``: blobs [n, ...] by name. ``targets``: class numbers [n], or values [n, size] for a squared error.

    ``steps`` compute ``blob``: logits with the classes along ``axis`` of the batch (cross entropy), or values (None).
    """

    def __init__(
        self,
        features: Mapping[str, NDArray[Any]],
        targets: NDArray[Any],
        steps: Sequence[Step],
        parameters: Sequence[nn.Parameter],
        blob: str,
        axis: int | None,
        squared_error: str,
    ) -> None:
        self._features = dict(features)
        self._targets = torch.from_numpy(targets)
        self._parameters = list(parameters)
        self._blob, self._axis, self._squared_error = blob, axis, squared_error
        self._runner = Batched(Program(steps, [blob]), optimize=False)
        self._weights = sum(parameter.numel() for step in steps for parameter in step.module.parameters())
        self._batched = False
        self._work: dict[int, int | None] = {}  # of a batch of so many rows; None where values decide on it

    def gradients(self, batch: NDArray[np.int64]) -> tuple[float, list[NDArray[Any]]]:
        """The mean loss of these rows, and its gradients by each parameter."""
        with bounds.bounded("update", len(batch), self._weights) as run:
            if self._work.get(len(batch)) is None:  # later batches of this size do the same
                with weighed():
                    before = run.work
                    found = self._gradients(batch)
                self._work[len(batch)] = run.work - before if self._batched else None
                return found
            run.count(self._work[len(batch)] or 0)
            return self._gradients(batch)

    def _gradients(self, batch: NDArray[np.int64]) -> tuple[float, list[NDArray[Any]]]:
        numbers = torch.from_numpy(batch)
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        with torch.enable_grad():
            features = {name: torch.from_numpy(blob[batch]) for name, blob in self._features.items()}
            made = self._runner(features, len(batch))
            self._batched = not isinstance(made, list)
            rows = [row[self._blob] for row in made] if isinstance(made, list) else made[self._blob]
            output = torch.stack(rows) if isinstance(rows, list) else rows
            loss = self._loss(output, self._targets[numbers])
            if not loss.requires_grad:
                raise ModelError(f"model: '{self._blob}' does not depend on the updatable weights; mark other layers")
            found = torch.autograd.grad(loss, self._parameters, allow_unused=True, materialize_grads=True)
        for parameter in self._parameters:
            parameter.requires_grad_(False)
        return float(loss.detach()), [gradient.numpy() for gradient in found]

    def _loss(self, output: Tensor, targets: Tensor) -> Tensor:
        if self._axis is not None:
            logits = output.movedim(self._axis, 1).reshape(len(output), -1)
            return functional.cross_entropy(logits, targets)
        errors = (output.reshape(targets.shape) - targets).square()
        if self._squared_error == "mean":
            return errors.mean()
        return errors.sum(1).mean() * (0.5 if self._squared_error == "half" else 1.0)
