"""What a saved model itself answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .loading import load
from .pictures import images


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Pictures, uint8 [n, height, width, channels] in the .npy file ``request["rows"]``, as feature ``"feature"``.

    Answers the probability of each class, in the order of the classes, a row each.
    """
    import turicreate

    model = load(request["model"])
    rows = turicreate.SFrame({request["feature"]: images(np.load(request["rows"]))})
    said = model.predict(rows, output_type="probability_vector")
    return {"probabilities": [list(row) for row in said]}
