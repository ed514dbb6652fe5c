"""A k-NN classifier as a learner: an update appends the rows as samples, with their labels, new ones too."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import DataError, quoted
from coreml_updatable.runtime.neighbors.classifier import Label, NearestNeighborsModel
from coreml_updatable.updating.loss import target

LIMIT = 2**63


def with_rows(
    model: NearestNeighborsModel,
    samples: NDArray[np.float32],
    rows: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
) -> NearestNeighborsModel:
    """The model with ``samples`` [n, D] remembered; ``rows`` hold their labels.

    ``numberOfNeighbors`` holds for predictions; the file keeps its default.
    """
    name = str(model.description.predictedFeatureName)
    labels = [_label(target(row, name, at), model.string_labels, name, at) for at, row in enumerate(rows)]
    return model.updated(samples, labels, int(parameters["numberOfNeighbors"]))


def _label(value: Any, string: bool, name: str, number: int) -> Label:
    if string and isinstance(value, str):
        return str(value)
    if not string and isinstance(value, int | np.integer) and not isinstance(value, bool) and -LIMIT <= value < LIMIT:
        return int(value)
    expected = "text" if string else "integers of 64 bits"
    raise DataError(
        f"row {number}: '{name}' is {quoted(value)}, the model's labels are {expected}; give one of that kind"
    )
