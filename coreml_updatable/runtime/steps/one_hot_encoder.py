"""oneHotEncoder: y_i = 1 where category i is x, else 0; sparse, the dictionary {i: 1}. ``OneHotEncoder``.

An unknown category is refused, or gives zeros (sparse: nothing), as ``handleUnknown`` says.
"""

from typing import Any

import numpy as np

from coreml_updatable.errors import DataError, ModelError, quoted
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.interface import CATEGORIES, each
from coreml_updatable.spec.messages import Model

IGNORE_UNKNOWN = 1


def build(model: Model) -> Run:
    encoder = model.oneHotEncoder
    kind = encoder.WhichOneof("CategoryType")
    if kind is None:
        raise ModelError("model: a oneHotEncoder without categories; export the model again")
    places = {category: place for place, category in enumerate(getattr(encoder, kind).vector)}
    size = len(getattr(encoder, kind).vector)

    def encoded(value: Any, where: str) -> Any:
        place = places.get(value)
        if place is None and encoder.handleUnknown != IGNORE_UNKNOWN:
            raise DataError(f"{where}: is {quoted(value)}, which is none of the model's categories; give one of them")
        if encoder.outputSparse:
            return {} if place is None else {place: 1.0}
        vector = np.zeros(size)
        if place is not None:
            vector[place] = 1.0
        return vector

    return each(model, encoded, CATEGORIES)
