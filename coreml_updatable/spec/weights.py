"""The numbers of a ``WeightParams`` message: reading them, with and without their shape, and the one place that writes.

``WeightParams`` holds 32-bit floats, 16-bit floats, or quantized values packed most significant bit first, with a scale
and bias per tensor or output channel (linear) or a table of values (look-up table).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.messages import FloatVector, WeightParams
from coreml_updatable.spec.storage import FLOATS_TAG, packed_bytes, storage


def decode(weights: WeightParams, shape: Sequence[int], where: str, *, channel_axis: int = 0) -> NDArray[np.float32]:
    """The weights as float32 of ``shape``, in the file's own layout; ModelError unless the file holds just as many.

    ``channel_axis`` is the axis along which linear quantization has one scale an output channel.
    """
    count = math.prod(shape)
    match storage(weights):
        case "float32":
            result = len(weights.floatValue)
            _expect(where, result, count, "values")
            return packed_floats(weights).reshape(shape)
        case "float16":
            _expect(where, len(weights.float16Value) / 2, count, "16-bit values")
            return np.frombuffer(weights.float16Value, "<f2").astype(np.float32).reshape(shape)
        case "raw":
            return _dequantize(weights, shape, where, channel_axis)
        case "int8":
            raise ModelError(
                f"{where}: 8-bit weights for dynamic quantization cannot be read; export with float weights"
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
            f"{where}: holds {kind} weights, but only floats can be updated; convert the model without quantization"
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


def write_floats(message: WeightParams, values: NDArray[Any]) -> None:
    """Store ``values`` as 32-bit floats, in place of what ``message`` held."""
    updatable = message.isUpdatable
    message.Clear()
    message.MergeFromString(packed(values))
    message.isUpdatable = updatable


def _varint(number: int) -> bytes:
    content = bytearray()
    while number >= 0x80:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    content.append(number)
    return bytes(content)


def _dequantize(weights: WeightParams, shape: Sequence[int], where: str, channel_axis: int) -> NDArray[np.float32]:
    quantization = weights.quantization
    bits, count = int(quantization.numberOfBits), math.prod(shape)
    if not 1 <= bits <= 8:
        raise ModelError(f"{where}: quantized to {bits} bits, expected 1 to 8; quantize the model again")
    _expect(where, len(weights.rawValue), (count * bits + 7) // 8, "bytes of quantized values")
    match quantization.WhichOneof("QuantizationType"):
        case "linearQuantization":
            linear = quantization.linearQuantization
            for name, result, least in (("scale", len(linear.scale), 1), ("bias", len(linear.bias), 0)):
                if result not in range(least, 2):
                    what = "values (one, or one per output channel)"
                    _expect(f"{where}: {name}", result, shape[channel_axis], what)
        case "lookupTableQuantization":
            result = len(quantization.lookupTableQuantization.floatValue)
            _expect(f"{where}: look-up table", result, 2**bits, "values")
        case _:
            raise ModelError(f"{where}: raw weights without quantization parameters; export the model again")
    values = _quantized(weights, count, math.prod(shape[:channel_axis])).values
    if values is None:
        raise ModelError(f"{where}: the scales, biases or table are not finite; quantize the model again")
    return values.reshape(shape)


def _expect(where: str, result: float, expected: int, what: str) -> None:
    if result != expected:
        raise ModelError(f"{where}: contains {result:g} {what}, expected {expected}; export the model again")


_HALF_STEP = 0.5 + 1e-3  # of a linear quantization; a little more, for scales are 32-bit floats


@dataclass(frozen=True)
class Numbers:
    """``values`` float32 [count], None where they cannot be decoded. ``grid``: what a quantized tensor can hold.

    ``grid`` float32 [channels, 2**bits] in rising order, a row for each output channel (or one for all of them);
    the channels are the middle axis of ``values`` as [lead, channels, rest].
    ``padding``: how many of the last values may be the filling of the last byte.
    """

    storage: str
    count: int
    values: NDArray[np.float32] | None
    grid: NDArray[np.float32] | None = None
    lead: int = 1
    padding: int = 0


def numbers_in(weights: WeightParams, *, most: int | None = None, lead: int = 1) -> Numbers:
    """``most``: how many values there are at most, where that is known; it tells filling bits from values.

    ``lead``: how many kernels stand before the axis of output channels (1, but for deconvolutions).
    """
    match storage(weights):
        case "float32":
            values = packed_floats(weights)
            return Numbers("float32", len(values), values)
        case "float16":
            content = weights.float16Value[: len(weights.float16Value) // 2 * 2]
            halves = np.frombuffer(content, "<f2")
            return Numbers("float16", len(halves), halves.astype(np.float32))
        case "raw":
            return _quantized(weights, most, lead)
        case "int8":
            return Numbers("8-bit dynamic", len(weights.int8RawValue), None)
    return Numbers("empty", 0, np.zeros(0, np.float32))


def rounded(exact: Numbers, coarse: Numbers, count: int) -> bool:
    """Return whether the first ``count`` values of ``coarse`` equal those of ``exact``, up to storage rounding."""
    if exact.values is None or coarse.values is None:
        return False
    fine, stored = exact.values[:count], coarse.values[:count]
    if coarse.storage == "float16":
        with np.errstate(over="ignore"):
            return bool(np.array_equal(fine.astype(np.float16).astype(np.float32), stored, equal_nan=True))
    if coarse.grid is None or not count or count % (len(coarse.grid) * coarse.lead) or not np.isfinite(fine).all():
        return False
    cube = (coarse.lead, len(coarse.grid), -1)
    rows = (values.reshape(cube).swapaxes(0, 1) for values in (fine, stored))
    return all(_nearest(*row) for row in zip(*rows, coarse.grid, strict=True))


def _nearest(fine: NDArray[np.float32], stored: NDArray[np.float32], grid: NDArray[np.float32]) -> bool:
    """Return whether each stored value is the nearest entry of ``grid`` to the exact value, up to rounding."""
    right = np.clip(np.searchsorted(grid, fine), 1, len(grid) - 1)
    least = np.minimum(np.abs(fine - grid[right - 1]), np.abs(fine - grid[right]))
    step = grid[right] - grid[right - 1]
    return bool((np.abs(fine - stored) <= least + (_HALF_STEP - 0.5) * step).all())


def _quantized(weights: WeightParams, most: int | None, lead: int) -> Numbers:
    """Linear: value * scale + bias, one pair for all or one an output channel; else a look-up table of 2**bits."""
    quantization = weights.quantization
    bits, kind = int(quantization.numberOfBits), quantization.WhichOneof("QuantizationType")
    if not 1 <= bits <= 8 or kind is None:
        return Numbers("raw", len(weights.rawValue), None)
    filled = len(weights.rawValue) * 8 // bits
    count = most if most is not None and filled - 7 // bits <= most <= filled else filled
    if kind == "lookupTableQuantization":
        return _looked_up(weights, bits, count, 7 // bits - (filled - count))
    return _linear(weights, bits, count, lead, 7 // bits - (filled - count))


def _looked_up(weights: WeightParams, bits: int, count: int, padding: int) -> Numbers:
    name = f"{bits}-bit table"
    table = np.array(weights.quantization.lookupTableQuantization.floatValue, np.float32)
    if len(table) != 2**bits or not np.isfinite(table).all():
        return Numbers(name, count, None)
    return Numbers(name, count, table[_codes(weights, bits, count)], np.sort(table)[np.newaxis], padding=padding)


def _linear(weights: WeightParams, bits: int, count: int, lead: int, padding: int) -> Numbers:
    name = f"{bits}-bit linear"
    linear = weights.quantization.linearQuantization
    scale, bias = np.array(linear.scale, np.float32), np.array(linear.bias or [0.0], np.float32)
    channels = max(len(scale), len(bias))
    if {len(scale), len(bias)} - {1, channels} or not (np.isfinite(scale).all() and np.isfinite(bias).all()):
        return Numbers(name, count, None)
    if channels == 1:
        lead = 1
    elif lead < 1 or count % (lead * channels):
        rest = count % (lead * channels) if lead >= 1 else count
        if rest > padding:
            return Numbers(name, count, None)
        count, padding = count - rest, padding - rest
    with np.errstate(over="ignore", invalid="ignore"):
        values = _codes(weights, bits, count).reshape(lead, channels, -1) * scale[:, np.newaxis] + bias[:, np.newaxis]
        grid = np.sort(np.arange(2**bits) * scale[:, np.newaxis] + bias[:, np.newaxis], axis=1)
    return Numbers(name, count, values.astype(np.float32).ravel(), grid.astype(np.float32), lead, padding)


def _codes(weights: WeightParams, bits: int, count: int) -> NDArray[np.int64]:
    packed = np.frombuffer(weights.rawValue, np.uint8)
    if bits == 8:
        return packed[:count].astype(np.int64)
    unpacked = np.unpackbits(packed, count=count * bits).reshape(count, bits)
    codes: NDArray[np.int64] = unpacked @ (1 << np.arange(bits - 1, -1, -1))
    return codes
