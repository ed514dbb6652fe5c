"""The numbers in a ``WeightParams`` message, and the one place that writes them back.

``WeightParams`` holds 32-bit floats, 16-bit floats, or quantized values packed most significant bit first, with a scale
and bias per tensor or output channel (linear) or a table of values (look-up table).
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.messages import FloatVector, WeightParams
from coreml_updatable.spec.storage import FLOATS_TAG, packed_bytes
from coreml_updatable.spec.storage import storage as storage


def decode(weights: WeightParams, shape: Sequence[int], where: str, *, channel_axis: int = 0) -> NDArray[np.float32]:
    """The weights as float32 of ``shape``, in the file's own layout; ModelError unless the file holds just as many.

    ``channel_axis`` is the axis along which linear quantization has one scale an output channel.
    """
    count = math.prod(shape)
    match storage(weights):
        case "float32":
            found = len(weights.floatValue)
            _expect(where, found, count, "values")
            return packed_floats(weights).reshape(shape)
        case "float16":
            _expect(where, len(weights.float16Value) / 2, count, "16-bit values")
            return np.frombuffer(weights.float16Value, "<f2").astype(np.float32).reshape(shape)
        case "raw":
            return _dequantize(weights, shape, where, channel_axis)
        case "int8":
            raise ModelError(
                f"{where}: 8-bit weights for dynamic quantization can not be read; export with float weights"
            )
    _expect(where, 0, count, "values")
    return np.zeros(shape, np.float32)


def encode(weights: WeightParams, values: NDArray[Any], where: str) -> None:
    """Replace the numbers, keeping the storage and every other field. Quantized weights are refused."""
    kind = storage(weights)
    if kind == "float16":
        weights.float16Value = values.astype("<f2").tobytes()
    elif kind == "float32":
        weights.ClearField("floatValue")
        weights.MergeFromString(packed(values))
    else:
        raise ModelError(
            f"{where}: holds {kind} weights, only floats can change; convert the model without quantization"
        )


def packed_floats(message: WeightParams | FloatVector) -> NDArray[np.float32]:
    """The floats in field 1, at once: far faster than one Python float after another, and without a second copy."""
    values = message.floatValue if hasattr(message, "floatValue") else message.vector
    if hasattr(values, "__array__"):  # newer releases of protobuf
        return np.asarray(values, np.float32)
    return floats_in(message.SerializeToString(deterministic=True))


def floats_in(content: bytes) -> NDArray[np.float32]:
    """The floats in field 1 of a serialized message; none if it does not begin with that field, packed."""
    return np.frombuffer(packed_bytes(content), "<f4").copy()


def packed(values: NDArray[Any]) -> bytes:
    """Field 1 of a message, as packed floats; ``packed_floats`` reads it."""
    content = np.ascontiguousarray(values, "<f4").tobytes()
    return bytes([FLOATS_TAG]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    content = bytearray()
    while number >= 0x80:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    content.append(number)
    return bytes(content)


def _dequantize(weights: WeightParams, shape: Sequence[int], where: str, channel_axis: int) -> NDArray[np.float32]:
    bits, count = int(weights.quantization.numberOfBits), math.prod(shape)
    if not 1 <= bits <= 8:
        raise ModelError(f"{where}: quantized to {bits} bits, expected 1 to 8; quantize the model again")
    _expect(where, len(weights.rawValue), (count * bits + 7) // 8, "bytes of quantized values")
    unpacked = np.unpackbits(np.frombuffer(weights.rawValue, np.uint8), count=count * bits).reshape(count, bits)
    values = (unpacked @ (1 << np.arange(bits - 1, -1, -1))).reshape(shape)
    match weights.quantization.WhichOneof("QuantizationType"):
        case "linearQuantization":
            linear = weights.quantization.linearQuantization
            scale = _per_channel(linear.scale, shape, channel_axis, f"{where}: scale")
            bias = _per_channel(linear.bias, shape, channel_axis, f"{where}: bias")
            return (values * scale + bias).astype(np.float32)
        case "lookupTableQuantization":
            table = np.array(weights.quantization.lookupTableQuantization.floatValue, np.float32)
            _expect(f"{where}: look-up table", len(table), 2**bits, "values")
            return table[values]
    raise ModelError(f"{where}: raw weights without a quantization; export the model again")


def _per_channel(values: Iterable[float], shape: Sequence[int], axis: int, where: str) -> NDArray[np.float32]:
    numbers = np.array(values, np.float32)
    if len(numbers) == 1:
        return numbers
    _expect(where, len(numbers), shape[axis], "values (one, or one an output channel)")
    return numbers.reshape([-1 if at == axis else 1 for at in range(len(shape))])


def _expect(where: str, found: float, expected: int, what: str) -> None:
    if found != expected:
        raise ModelError(f"{where}: holds {found:g} {what}, expected {expected}; export the model again")
