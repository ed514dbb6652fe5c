"""Facts about the source network for the report."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from torch import nn

from coreml_updatable.converting.contract import ConversionRequest
from coreml_updatable.data.inputs import ImageInput

from .declared_pictures import declared_by, fitting_in_words, pixels_in_words
from .fitting import History
from .packaged_weights import LICENSE, is_packaged
from .source import TorchSource


def facts(network: nn.Module, source: TorchSource, history: History, request: ConversionRequest) -> Mapping[str, Any]:
    """Return JSON values: architecture, parameters, training, versions."""
    result: dict[str, Any] = {
        "architecture": source.architecture or source.factory,
        "weights": source.weights or "new",
        **_license(source),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "trained": _how(source, history),
        **_pictures(source, request),
        "torch": version("torch"),
        "coremltools": version("coremltools"),
    }
    result |= getattr(network, "told", {})  # what the network's own code says of itself
    return result | ({"embedding": source.training.embedding} if history and source.training.embedding else {})


def _pictures(source: TorchSource, request: ConversionRequest) -> Mapping[str, str]:
    """Return the pixels that the network receives, the source of that setting, and how photos are fitted."""
    given = request.input
    if not isinstance(given, ImageInput):
        return {}
    size = f"{given.width} x {given.height} {given.color}"
    if source.architecture is None:
        known, by = None, "the recipe" if source.mean or source.std else "default: nobody says otherwise"
    else:
        path = request.folder / source.weights if source.weights not in (None, "pretrained") else None
        known = declared_by(source.architecture, path)
        by = "the recipe" if source.mean or source.std else known.by
    mean = source.mean or (known.mean if known is not None else None)
    std = source.std or (known.std if known is not None else None)
    result = {"pictures": f"{size}, {pixels_in_words(mean, std)}, by {by}"}
    return result if known is None else {**result, "photos": fitting_in_words(known, given.fit)}


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


def _license(source: TorchSource) -> dict[str, Any]:
    """Of packaged weights, whose license is known."""
    known = source.weights == "pretrained" and is_packaged(source.architecture or "")
    return {"license_of_the_weights": LICENSE} if known else {}
