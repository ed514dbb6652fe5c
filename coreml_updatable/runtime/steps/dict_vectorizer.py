"""dictVectorizer: y_i = x[key i], 0 where x does not have the key. ``DictVectorizer``.

The format wants every key of x to be among the model's. Apps give texts with any words, and exporters (scikit-learn,
Turi Create) mean unknown ones to be passed over; so they are. A model that declares a dictionary as its output, as Turi
Create's do, gives it sparse: {i: y_i}.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.interface import each, the_output
from coreml_updatable.spec.messages import Model


def build(model: Model) -> Run:
    kind = model.dictVectorizer.WhichOneof("Map")
    if kind is None:
        raise ModelError("model: a dictVectorizer without keys; export the model again")
    keys = list(getattr(model.dictVectorizer, kind).vector)
    places = {key: place for place, key in enumerate(keys)}

    def sparse(value: Mapping[Any, float], _where: str) -> dict[int, float]:
        return {places[key]: float(number) for key, number in value.items() if key in places}

    def vectorized(value: Mapping[Any, float], _where: str) -> NDArray[np.float64]:
        vector = np.zeros(len(keys))
        for key, number in value.items():
            if key in places:
                vector[places[key]] = number
        return vector

    declared = the_output(model).type.WhichOneof("Type")
    return each(model, sparse if declared == "dictionaryType" else vectorized, ("dictionaryType",))
