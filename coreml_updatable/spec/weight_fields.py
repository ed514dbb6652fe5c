"""All weights of a layer, whatever its kind calls them."""

from collections.abc import Iterator
from functools import cache

from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer, WeightParams
from coreml_updatable.spec.storage import storage


def weight_fields(layer: NeuralNetworkLayer) -> Iterator[tuple[str, WeightParams]]:
    """Field name (``weights``, ``gamma``, ``weightParams.inputGateWeightMatrix`` ...) and the message, where set."""
    kind = layer_kind(layer)
    if kind:
        yield from _weights_in(getattr(layer, kind), "")


def weight_count(weights: WeightParams) -> int:
    """How many numbers are stored."""
    match storage(weights):
        case "float32":
            return len(weights.floatValue)
        case "float16":
            return len(weights.float16Value) // 2
        case "int8":
            return len(weights.int8RawValue)
        case "raw":
            bits = int(weights.quantization.numberOfBits) or 8
            return len(weights.rawValue) * 8 // bits
    return 0


def _weights_in(message: Model, prefix: str) -> Iterator[tuple[str, WeightParams]]:
    for field in _message_fields(message.DESCRIPTOR):
        if field.is_repeated:
            inner = [(f"{field.name}[{number}]", item) for number, item in enumerate(getattr(message, field.name))]
        else:
            inner = [(field.name, getattr(message, field.name))] if message.HasField(field.name) else []
        for name, value in inner:
            if value.DESCRIPTOR.name == "WeightParams":
                yield f"{prefix}{name}", value
            else:
                yield from _weights_in(value, f"{prefix}{name}.")


@cache
def _message_fields(descriptor: Model) -> list[Model]:
    """The fields under which weights may stand; inner networks (branch, loop) are layers of their own."""
    return [
        field
        for field in descriptor.fields
        if field.message_type is not None and field.message_type.name not in ("NeuralNetwork", "QuantizationParams")
    ]
