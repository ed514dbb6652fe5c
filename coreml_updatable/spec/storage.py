"""The weights of a layer, whatever its kind calls them, and how each stores its numbers; without NumPy."""

from collections.abc import Iterator
from functools import cache

from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import FloatVector, Model, NeuralNetworkLayer, WeightParams

_FIELDS = ("floatValue", "float16Value", "rawValue", "int8RawValue")
FLOATS_TAG = 0x0A  # the wire tag of ``WeightParams.floatValue`` and ``FloatVector.vector``: field 1, packed


def storage(weights: WeightParams) -> str:
    """Return the storage of the numbers: "float32", "float16", "raw", "int8", or "empty"."""
    if len(weights.floatValue):
        return "float32"
    if weights.float16Value:
        return "float16"
    if weights.int8RawValue:
        return "int8"
    return "raw" if weights.rawValue else "empty"


def filled_fields(weights: WeightParams) -> list[str]:
    """The storage fields of ``weights`` that hold something; the format allows one."""
    return [field for field in _FIELDS if len(getattr(weights, field))]


def float_bytes(message: WeightParams | FloatVector) -> memoryview:
    """The packed little-endian 32-bit floats in field 1 of ``message``."""
    return packed_bytes(message.SerializeToString(deterministic=True))


def packed_bytes(content: bytes) -> memoryview:
    """The bytes of field 1 of a serialized message; none if it does not begin with that field, packed."""
    if not content or content[0] != FLOATS_TAG:
        return memoryview(b"")
    size, start = 0, 1
    for start in range(1, 12):
        size |= (content[start] & 0x7F) << (7 * (start - 1))
        if content[start] < 0x80:
            break
    return memoryview(content)[start + 1 : start + 1 + size // 4 * 4]


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
            inner = [(f"{field.name}[{index}]", item) for index, item in enumerate(getattr(message, field.name))]
        else:
            inner = [(field.name, getattr(message, field.name))] if message.HasField(field.name) else []
        for name, value in inner:
            if value.DESCRIPTOR.name == "WeightParams":
                yield f"{prefix}{name}", value
            else:
                yield from _weights_in(value, f"{prefix}{name}.")


@cache
def _message_fields(descriptor: Model) -> list[Model]:
    """Return the fields that may contain weights; inner networks (branch, loop) are separate layers."""
    return [
        field
        for field in descriptor.fields
        if field.message_type is not None and field.message_type.name not in ("NeuralNetwork", "QuantizationParams")
    ]
