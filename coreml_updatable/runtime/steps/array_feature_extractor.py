"""arrayFeatureExtractor: y_i = x[extractIndex_i], x in row-major order. ``ArrayFeatureExtractor``.

One index and an output that is a number: that number.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.interface import each
from coreml_updatable.spec.messages import Model


def build(model: Model) -> Run:
    indices = [int(index) for index in model.arrayFeatureExtractor.extractIndex]
    if not indices:
        raise ModelError("model: an arrayFeatureExtractor without indices; export the model again")

    def extracted(value: Any, where: str) -> NDArray[Any]:
        x = np.asarray(value).ravel()
        if max(indices) >= len(x):
            raise ModelError(f"{where}: has {len(x)} values, the model extracts index {max(indices)}; check the model")
        return x[indices]

    return each(model, extracted, ("multiArrayType",))
