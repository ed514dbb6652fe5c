"""The usual last layer in closed form: innerProduct, softmax, categorical cross entropy.

With logits z = W x + b and p = softmax(z), the loss of a row is log(sum exp z) - z_t, and its gradient by z is p - e_t:
this is -log(softmax(z)_t) without the logarithm of a rounded number. No graph is built: a step costs microseconds.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
