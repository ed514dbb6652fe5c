"""scaler: y = scaleValue (x + shiftValue). ``Scaler``.

Both hold one value, or one for each value of the input; one that is not set changes nothing (scale 1, shift 0).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.interface import NUMBERS, each
from coreml_updatable.spec.messages import Model


def build(model: Model) -> Run:
    shift, scale = np.array(model.scaler.shiftValue or [0.0]), np.array(model.scaler.scaleValue or [1.0])

    def scaled(value: Any, where: str) -> NDArray[np.float64]:
        x = np.asarray(value, np.float64)
        for name, numbers in (("shiftValue", shift), ("scaleValue", scale)):
            if len(numbers) not in (1, x.size):
                raise ModelError(f"{where}: has {x.size} values, {name} has {len(numbers)}; export the model again")
        y: NDArray[np.float64] = scale * (x.ravel() + shift)
        return y.reshape(x.shape)

    return each(model, scaled, NUMBERS)
