"""A saved model as Turi Create itself exports it."""

from __future__ import annotations

from typing import Any

from .loading import load


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Writes the .mlmodel at ``request["to"]``; answers the classes, in the order of the probabilities."""
    model = load(request["model"])
    model.export_coreml(request["to"])
    return {"classes": list(model.classes)}
