"""What a report tells about the source network."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from torch import nn

from .torch_fitting import History
from .torch_source import TorchSource


def facts(network: nn.Module, source: TorchSource, history: History) -> Mapping[str, Any]:
    """JSON values only: architecture, parameters, how it was trained, versions."""
    told: dict[str, Any] = {
        "architecture": source.architecture or source.factory,
        "weights": source.weights or "new",
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "trained": _how(source, history),
        "torch": version("torch"),
        "coremltools": version("coremltools"),
    }
    told |= getattr(network, "told", {})  # what the network's own code says of itself
    return told | ({"embedding": source.training.embedding} if history and source.training.embedding else {})


def _how(source: TorchSource, history: History) -> str:
    if not history:
        return "not here: the weights hold the head too"
    if source.weights is not None:
        return "the head, on features of the frozen extractor"
    epochs = f"{len(history)} epoch{'s' if len(history) > 1 else ''}"
    match source.training.extractor_learns:
        case "labels":
            return f"from scratch, {epochs}"
        case "kinds":
            return f"the extractor from scratch on the kinds, {epochs}; then the head on the labels"
    return f"the extractor from scratch on the kinds and how far they are turned, {epochs}; then the head on the labels"
