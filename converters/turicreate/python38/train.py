"""Train a new classifier of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from .frames import frame
from .loading import begin


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Train the classifier ``train`` on the pictures and ``labels``, export it to ``to``, and test it.

    The pictures are .npy files of uint8 [n, height, width, channels], or float64 [n, numbers] for the logistic
    classifier; ``feature`` is the name of the model's input, and ``options`` go to ``create`` unchanged. Returns
    the probability of each class for the pictures ``test``, in the order of the classes.
    """
    turicreate = begin()
    feature = request["feature"]
    target = f"{feature} label"
    train, test = (frame({feature: _column(request[part])}) for part in ("pictures", "test"))
    train[target] = turicreate.SArray(request["labels"])
    toolkit = getattr(turicreate, request["train"])
    result = toolkit.create(train, target, validation_set=None, verbose=False, **request["options"])
    result.export_coreml(request["to"])
    said = result.predict(test, output_type="probability_vector") if len(test) else []
    facts = {"classes": list(result.classes), "probabilities": [list(row) for row in said]}
    fitted = result.classifier if request["train"] == "image_classifier" else result
    return {**facts, "accuracy": float(fitted.training_accuracy)}


def _column(path: str) -> Any:
    values = np.load(path)
    return {"pictures": path} if values.dtype == np.uint8 else values.tolist()
