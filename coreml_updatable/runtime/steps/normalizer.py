"""normalizer: y = x / norm(x), where norm is max |x_i|, sum |x_i|, or the square root of sum x_i^2. ``Normalizer``.

A vector of zeros stays what it is: the format leaves this open, and exporters (scikit-learn) mean it so.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.interface import NUMBERS, each
from coreml_updatable.spec.messages import Model

ORDERS = {0: np.inf, 1: 1, 2: 2}  # Normalizer.NormType -> order of the norm


def build(model: Model) -> Run:
    if model.normalizer.normType not in ORDERS:
        raise ModelError(f"model: the normalizer's normType is {model.normalizer.normType}, expected 0, 1 or 2")
    order = ORDERS[model.normalizer.normType]

    def normalized(value: Any, _where: str) -> NDArray[np.float64]:
        x = np.asarray(value, np.float64)
        norm = float(np.linalg.norm(x.ravel(), order)) if x.size else 0.0
        return x / norm if norm else x

    return each(model, normalized, NUMBERS)
