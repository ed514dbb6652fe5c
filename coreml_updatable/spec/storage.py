"""How a ``WeightParams`` message stores its numbers, and their bytes as they lie in the file; without NumPy."""

from coreml_updatable.spec.messages import FloatVector, WeightParams

_FIELDS = ("floatValue", "float16Value", "rawValue", "int8RawValue")
FLOATS_TAG = 0x0A  # the wire tag of ``WeightParams.floatValue`` and ``FloatVector.vector``: field 1, packed


def storage(weights: WeightParams) -> str:
    """What holds the numbers: "float32", "float16", "raw", "int8", or "empty"."""
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
