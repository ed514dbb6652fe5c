"""How many numbers of a message are NaN or infinite, told from their bytes: at the speed of copying, without NumPy.

A 32-bit float is not finite where all bits of its exponent are set: the low seven bits of its highest byte and the
highest bit of the next (IEEE 754); a 16-bit float where bits 2 to 6 of its higher byte are set.
"""

from collections.abc import Iterable
from math import isfinite

from coreml_updatable.spec.messages import FloatVector, WeightParams
from coreml_updatable.spec.storage import float_bytes, storage

_HIGHEST = bytes(int(byte & 0x7F == 0x7F) for byte in range(256))
_NEXT = bytes(int(byte >= 0x80) for byte in range(256))
_OF_HALVES = bytes(int(byte & 0x7C == 0x7C) for byte in range(256))


def not_finite_weights(weights: WeightParams) -> int:
    """Of the stored floats, or of the scales, biases and table entries of quantized weights."""
    kind = storage(weights)
    if kind == "float32":
        return not_finite_floats(weights)
    if kind == "float16":
        halves: bytes = weights.float16Value
        return halves[1::2].translate(_OF_HALVES).count(1)
    linear = weights.quantization.linearQuantization
    table = weights.quantization.lookupTableQuantization
    return not_finite((*linear.scale, *linear.bias, *table.floatValue))


def not_finite_floats(message: WeightParams | FloatVector) -> int:
    content = float_bytes(message)
    highest = bytes(content[3::4]).translate(_HIGHEST)
    if 1 not in highest:  # as in nearly every file
        return 0
    following = bytes(content[2::4]).translate(_NEXT)
    return (int.from_bytes(highest, "little") & int.from_bytes(following, "little")).bit_count()


def not_finite(values: Iterable[float]) -> int:
    return sum(1 for value in values if not isfinite(value))
