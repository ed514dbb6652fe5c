"""Multi-arrays as inputs and outputs of a model: type, shape, and the default for a missing one."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import DataError, ModelError, a_kind
from coreml_updatable.spec.messages import FeatureDescription, FeatureTypes_pb2

MAX_VALUES = 2**28  # of an input that is not given
DTYPES: dict[int, Any] = {
    FeatureTypes_pb2.ArrayFeatureType.FLOAT32: np.float32,
    FeatureTypes_pb2.ArrayFeatureType.DOUBLE: np.float64,
    FeatureTypes_pb2.ArrayFeatureType.INT32: np.int32,
    FeatureTypes_pb2.ArrayFeatureType.FLOAT16: np.float16,
    FeatureTypes_pb2.ArrayFeatureType.INT8: np.int8,
}


def numbers(feature: FeatureDescription, value: Any, where: str, *, sequences: bool = False) -> NDArray[np.float32]:
    """What a network or k-NN reads, float32: an array [*shape] (``sequences``: also [sequence, batch, *shape]), or one
    number [1]. DataError for NaN."""
    kind = feature.type.WhichOneof("Type")
    if kind == "multiArrayType":
        given = array(feature, value, where, sequences=sequences)
    elif kind in ("int64Type", "doubleType"):
        given = _array(value, where).reshape(-1)
        if given.size != 1:
            raise DataError(f"{where}: has the shape {list(np.shape(value))}, expected one number")
        if kind == "int64Type":
            _expect_integers(given, np.int64, where)
    else:
        raise DataError(
            f"{where}: the model describes it as {kind}, expected a multi-array or a number; check the model"
        )
    result = _as(np.float32, given)
    if np.isnan(result).any():
        position = [int(index) for index in np.argwhere(np.isnan(result))[0]]
        raise DataError(f"{where}: is NaN at {position}; remove the row or correct it")
    return result


def array(
    feature: FeatureDescription, value: Any, where: str, *, sequences: bool = False, flat: bool = False
) -> NDArray[Any]:
    """Return a new array of the declared type (float32 by default), with its shape checked.

    ``flat``: the model reads the numbers in a row, so axes of length 1 may be added or left out: Core ML's trees,
    support vector machines and linear models accept [1, 13] for [13] (coremltools' test_io_types).
    """
    given = _array(value, where)
    declared = [int(size) for size in feature.type.multiArrayType.shape]
    if flat and declared and [size for size in given.shape if size != 1] == [size for size in declared if size != 1]:
        given = given.reshape(declared)
    _check_shape(feature.type.multiArrayType, given.shape, where, sequences)
    return in_type(given, feature, where)


def in_type(given: NDArray[Any], feature: FeatureDescription, where: str) -> NDArray[Any]:
    """Return a copy in the declared type. DataError if integers are declared and a value is not one or does not fit."""
    dtype = DTYPES.get(feature.type.multiArrayType.dataType, np.float32)
    if np.issubdtype(dtype, np.integer):
        _expect_integers(given, dtype, where)
    return _as(dtype, given)


def _as(dtype: Any, given: NDArray[Any]) -> NDArray[Any]:
    """Return a copy; values that are too large become infinite."""
    if given.dtype == dtype:
        return given.copy()
    with np.errstate(over="ignore"):
        return given.astype(dtype)


def expect_probabilities(shares: NDArray[Any], where: str) -> None:
    """Raise DataError if probabilities are NaN: no class is then the most likely, whatever ``argmax`` returns."""
    if np.isnan(shares).any():
        raise DataError(
            f"{where}: the model returned NaN as a probability; remove infinite and very large inputs, and check the "
            "model's weights"
        )


def default(feature: FeatureDescription) -> NDArray[Any]:
    """Return the value of a missing optional input: the default in its description, or zeros."""
    described = feature.type.multiArrayType
    named = described.WhichOneof("defaultOptionalValue")
    shape = _default_shape(described) or [1]
    if min(shape) < 1 or math.prod(shape) > MAX_VALUES:
        raise ModelError(f"model: input '{feature.name}' has the shape {shape}; export the model again")
    value = getattr(described, named) if named else 0
    return in_type(np.full(shape, value), feature, f"model: input '{feature.name}': the default")


def _array(value: Any, where: str) -> NDArray[Any]:
    try:
        result = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        result = np.array(None)
    if result.dtype.kind not in "biuf":
        raise DataError(f"{where}: is {a_kind(value)}, expected numbers; give a NumPy array or a list")
    return result


def _expect_integers(given: NDArray[Any], dtype: Any, where: str) -> None:
    ends = np.iinfo(dtype)
    if given.dtype.kind in "biu":
        fits = not given.size or (int(given.min()) >= ends.min and int(given.max()) <= ends.max)
    else:
        low = float(ends.min)  # a power of two, exact in any type of floats; the highest is 1 less than its opposite
        fits = bool((np.isfinite(given) & (given == np.trunc(given)) & (given >= low) & (given < -low)).all())
    if not fits:
        raise DataError(
            f"{where}: contains a value that is not {np.dtype(dtype).name}, the type of the input; round it"
        )


def _default_shape(described: Any) -> list[int]:
    """The declared shape; where there is none, the first of the enumerated ones, or the lower bounds."""
    if len(described.shape):
        return [int(size) for size in described.shape]
    if len(described.enumeratedShapes.shapes):
        return [int(size) for size in described.enumeratedShapes.shapes[0].shape]
    return [int(ends.lowerBound) for ends in described.shapeRange.sizeRanges]


def _check_shape(described: Any, result: Sequence[int], where: str, sequences: bool) -> None:
    """``sequences``: two more axes, [sequence, batch], may precede the shape."""
    shapes = [tuple(result), tuple(result[2:])] if sequences else [tuple(result)]
    if described.WhichOneof("ShapeFlexibility") == "shapeRange":
        ranges = described.shapeRange.sizeRanges
        if any(_within(shape, ranges) for shape in shapes):
            return
        expected = f"[{', '.join(in_words(ends) for ends in ranges)}]"
    else:
        listed = [shape.shape for shape in described.enumeratedShapes.shapes]
        allowed = [tuple(int(size) for size in shape) for shape in (described.shape, *listed) if len(shape)]
        if not allowed or any(shape in allowed for shape in shapes):
            return
        expected = " or ".join(str(list(shape)) for shape in dict.fromkeys(allowed))
    raise DataError(f"{where}: has the shape {list(result)}, but the model expects {expected}; reshape it")


def _within(shape: Sequence[int], ranges: Any) -> bool:
    return len(ranges) == len(shape) and all(in_range(size, ends) for size, ends in zip(shape, ranges, strict=True))


def in_range(size: int, ends: Any) -> bool:
    """Return whether a size is in the ``SizeRange``; an upper bound below 0 means no bound."""
    return bool(size >= ends.lowerBound and (size <= ends.upperBound or ends.upperBound < 0))


def in_words(ends: Any) -> str:
    """Describe a ``SizeRange`` for an error message: 3, 3 to 9, 3 or more."""
    if ends.upperBound < 0:
        return f"{ends.lowerBound} or more"
    return f"{ends.lowerBound}" if ends.lowerBound == ends.upperBound else f"{ends.lowerBound} to {ends.upperBound}"
