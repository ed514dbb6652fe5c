"""What an app has to know of a sibling, as JSON: inputs, outputs, labels, loss, optimizer and its parameters."""

from collections.abc import Mapping
from typing import Any

from coreml_updatable.siblings.learner import SiblingInput, SiblingSource
from coreml_updatable.spec.features import COLOR_SPACES

VERSION = 1
NAMES = {"sgdOptimizer": "SGD", "adamOptimizer": "Adam"}


def described(source: SiblingSource) -> dict[str, Any]:
    metadata = source.model.base.description.metadata
    return {
        "version": VERSION,
        "description": str(metadata.shortDescription),
        "inputs": [_input(value) for value in source.inputs],
        "outputs": [{"name": name, "shape": ["batch", *shape]} for name, shape in source.outputs.items()],
        "labels": list(source.labels),
        "loss": "categorical cross entropy" if source.loss.cross_entropy else "mean squared error",
        "target": _target(source),
        "optimizer": NAMES[source.optimizer],
        "parameters": {
            key: {**({"default": source.parameters[key]} if key in source.parameters else {}), **_allowed(message)}
            for key, message in source.messages.items()
        },
        "trained": [
            {"name": name, "layer": source.keys[name][0], "weights": source.keys[name][1], "shape": list(value.shape)}
            for name, value in source.weights.items()
        ],
    }


def _input(item: SiblingInput) -> dict[str, Any]:
    """Scaling is in the network, so pixels go in as they are."""
    result: dict[str, Any] = {"name": item.name, "shape": ["batch", *item.shape], "type": "float32"}
    if item.is_picture:
        color = COLOR_SPACES[item.feature.type.imageType.colorSpace][0]
        result |= {"picture": True, "channels": color, "values": "0 to 255, not scaled; the network scales them"}
    return result


def _target(source: SiblingSource) -> dict[str, Any]:
    if source.loss.cross_entropy:
        return {"type": "int64", "shape": ["batch"], "values": "the position of the label in labels"}
    return {"type": "float32", "shape": ["batch", source.size], "values": "what the network should give"}


def _allowed(message: Any) -> Mapping[str, Any]:
    if "AllowedValues" not in message.DESCRIPTOR.oneofs_by_name:  # true or false
        return {}
    match message.WhichOneof("AllowedValues"):
        case "set":
            return {"allowed": [int(value) for value in message.set.values]}
        case "range":
            return {"range": [message.range.minValue, message.range.maxValue]}
    return {}
