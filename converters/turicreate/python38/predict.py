"""Predict with a saved model."""

from __future__ import annotations

from typing import Any

from .frames import answered
from .loading import load


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return the probability of each class per row; ``columns`` are the features' values (see ``frames.frame``).

    They are in the order of the classes. With ``neighbors`` the model is a nearest-neighbors one with that many votes,
    and ``classes`` gives the order.
    """
    model = load(request["model"])
    if "neighbors" in request:
        return {"probabilities": _votes(model, request)}
    said = answered(lambda rows: model.predict(rows, output_type="probability_vector"), request["columns"])
    return {"probabilities": [list(row) for row in said]}


def _votes(model: Any, request: dict[str, Any]) -> list[list[float]]:
    classes, neighbors = request["classes"], request["neighbors"]
    said = answered(lambda rows: model.predict_topk(rows, max_neighbors=neighbors, k=len(classes)), request["columns"])
    count = len(next(iter(request["columns"].values())))
    votes = [[0.0] * len(classes) for _ in range(count)]
    for item in said:
        votes[item["row_id"]][classes.index(item["class"])] = item["probability"]
    return votes
