"""Problems in stored numbers that Apple's compiler does not report: precision, NaN, infinity.

A 32-bit float is not finite if all bits of its exponent are set: the low seven bits of its highest byte and the
highest bit of the next (IEEE 754); a 16-bit float if bits 2 to 6 of its higher byte are set. Checking these bits avoids
NumPy, whose import takes longer than checking most files.
"""

from collections.abc import Iterator
from math import isfinite

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.graph import every_layer
from coreml_updatable.spec.messages import FloatVector, Model, WeightParams
from coreml_updatable.spec.storage import float_bytes, storage, weight_fields

_HIGHEST = bytes(int(byte & 0x7F == 0x7F) for byte in range(256))
_NEXT = bytes(int(byte >= 0x80) for byte in range(256))
_OF_HALVES = bytes(int(byte & 0x7C == 0x7C) for byte in range(256))


def all_32_bit(model: Model) -> Iterator[Finding]:
    """An updatable network has no 16-bit weights: one makes the whole network 16-bit, and it cannot be trained."""
    for where, layer in every_layer(model):
        if any(storage(weights) == "float16" for _, weights in weight_fields(layer)):
            yield Finding(where, "has 16-bit weights", "32-bit floats")


def none_quantized(model: Model) -> Iterator[Finding]:
    """The frozen layers are not quantized: this is allowed, but has led to crashes; a separate extractor may be."""
    for where, layer in every_layer(model):
        packed = any(storage(weights) in ("raw", "int8") for _, weights in weight_fields(layer))
        if packed and not layer.isUpdatable:
            yield Finding(where, "has quantized weights beside updatable layers", "32-bit floats")


def weights_finite(model: Model) -> Iterator[Finding]:
    """No weight is NaN or infinite, nor is any scale, bias or table of quantized weights."""
    for where, layer in every_layer(model):
        for name, weights in weight_fields(layer):
            if not_finite_weights(weights):
                yield Finding(f"{where}: {name}", "holds NaN or infinite numbers", "finite ones")


def not_finite_weights(weights: WeightParams) -> int:
    """Return how many stored floats are NaN or infinite, including scales, biases and tables of quantized weights."""
    kind = storage(weights)
    if kind == "float32":
        return not_finite_floats(weights)
    if kind == "float16":
        halves: bytes = weights.float16Value
        return halves[1::2].translate(_OF_HALVES).count(1)
    linear, table = weights.quantization.linearQuantization, weights.quantization.lookupTableQuantization
    return sum(not isfinite(value) for value in (*linear.scale, *linear.bias, *table.floatValue))


def not_finite_floats(message: WeightParams | FloatVector) -> int:
    content = float_bytes(message)
    highest = bytes(content[3::4]).translate(_HIGHEST)
    if 1 not in highest:  # as in nearly every file
        return 0
    following = bytes(content[2::4]).translate(_NEXT)
    return (int.from_bytes(highest, "little") & int.from_bytes(following, "little")).bit_count()
