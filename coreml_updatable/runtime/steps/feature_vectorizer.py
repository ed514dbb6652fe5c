"""featureVectorizer: the inputs one after another in one array, in the order of ``inputList``. ``FeatureVectorizer``.

An input is a number, an array of ``inputDimensions`` values, or a dictionary from place to value, 0 elsewhere.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.interface import flat, the_output
from coreml_updatable.spec.messages import Model

MOST_VALUES = 2**28


def build(model: Model) -> Run:
    columns = [(str(column.inputColumn), int(column.inputDimensions)) for column in model.featureVectorizer.inputList]
    target = str(the_output(model).name)
    known = {str(feature.name) for feature in model.description.input}
    for name, size in columns:
        if name not in known:
            raise ModelError(f"model: the featureVectorizer reads '{name}', which is no input; check the names")
        if not 0 < size <= MOST_VALUES:
            raise ModelError(f"model: '{name}' has {size} dimensions, expected 1 to {MOST_VALUES}; export it again")
    if not 0 < sum(size for _, size in columns) <= MOST_VALUES:
        raise ModelError(f"model: a featureVectorizer of no values, or more than {MOST_VALUES}; export it again")

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                target: np.concatenate(
                    [_vector(row[name], size, f"row {number}: feature '{name}'") for name, size in columns]
                )
            }
            for number, row in enumerate(rows)
        ]

    return run


def _vector(value: Any, size: int, where: str) -> NDArray[np.float64]:
    if isinstance(value, Mapping):
        vector = np.zeros(size)
        for place, number in value.items():
            if not isinstance(place, int) or not 0 <= place < size:
                raise DataError(f"{where}: has the place {place!r}, expected integers from 0 to {size - 1}")
            vector[place] = number
        return vector
    vector = flat(value)
    if len(vector) != size:
        raise ModelError(f"{where}: has {len(vector)} values, the model expects {size}; export the model again")
    return vector
