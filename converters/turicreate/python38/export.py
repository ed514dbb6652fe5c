"""Export a saved model with Turi Create."""

from __future__ import annotations

from typing import Any

from .loading import load


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Write the .mlmodel at ``request["to"]``; return the classes in the order of the probabilities."""
    model = load(request["model"])
    model.export_coreml(request["to"])
    return {"classes": list(model.classes)}
