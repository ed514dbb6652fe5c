"""What the two generalized linear models share: the scores W x + b."""

import math

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.messages import Model


def weights_of(model: Model) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """W [K, D] and b [K]; ModelError if the rows differ in length, or the offsets are not as many."""
    linear = getattr(model, model.WhichOneof("Type"))
    rows = [np.array(row.value, np.float64) for row in linear.weights]
    offset = np.array(linear.offset, np.float64)
    if not rows or len({len(row) for row in rows}) > 1 or not len(rows[0]):
        lengths = ", ".join(str(len(row)) for row in rows[:8]) or "none"
        raise ModelError(
            f"model: weights of the lengths {lengths}, expected at least one row, all alike; export it again"
        )
    if len(offset) not in (0, len(rows)):
        raise ModelError(f"model: {len(rows)} rows of weights and {len(offset)} offsets; export the model again")
    return np.stack(rows), offset if len(offset) else np.zeros(len(rows))


def normal(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probit's inverse: the cumulative distribution of the standard normal, (1 + erf(x / sqrt 2)) / 2."""
    return np.array([0.5 * math.erfc(-score / math.sqrt(2)) for score in scores.ravel()]).reshape(scores.shape)
