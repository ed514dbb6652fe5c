"""Features of every type as a row gives them and as a model answers them. Arrays: see arrays.py; pictures: pictures.py.

An int64 is a Python int, a double a float, a string a str, a dictionary a dict from str or int to float, a sequence a
list of str or int, a multi-array a NumPy array of the declared type and shape.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from coreml_updatable.errors import DataError, ModelError, a_kind, quoted
from coreml_updatable.runtime.io.arrays import array, default, in_type
from coreml_updatable.spec.messages import FeatureDescription


def checked(feature: FeatureDescription, value: Any, where: str) -> Any:
    """``value`` as the feature's type; DataError if it is of another. NaN passes: it stands for a missing number."""
    kind = feature.type.WhichOneof("Type")
    match kind:
        case "int64Type":
            return whole(value, where)
        case "doubleType":
            return number(value, where)
        case "stringType":
            return text(value, where)
        case "dictionaryType":
            return _dictionary(feature.type.dictionaryType, value, where)
        case "sequenceType":
            return _sequence(feature.type.sequenceType, value, where)
        case "multiArrayType":
            return array(feature, value, where)
        case "imageType":
            return value
    raise ModelError(f"model: input '{feature.name}' is a {kind}, which cannot be given here; export the model again")


def absent(feature: FeatureDescription, where: str) -> Any:
    """What an optional feature that is not given holds: its default, or NaN for a double, which is a missing number."""
    match feature.type.WhichOneof("Type"):
        case "multiArrayType":
            return default(feature)
        case "doubleType":
            return math.nan
    raise DataError(f"{where}: is not given and has no default; give it")


def answered(feature: FeatureDescription, value: Any) -> Any:
    """What a model made, as its description says it answers."""
    kind = feature.type.WhichOneof("Type")
    where = f"output '{feature.name}'"
    if kind == "multiArrayType" and not isinstance(value, str | Mapping):
        declared = [int(size) for size in feature.type.multiArrayType.shape]
        made = np.asarray(value)
        if declared and min(declared) > 0 and math.prod(declared) == made.size:
            made = made.reshape(declared)
        return in_type(made, feature, where)
    if kind in ("doubleType", "int64Type") and not isinstance(value, str | Mapping):
        made = np.asarray(value, np.float64) if kind == "doubleType" else np.asarray(value)
        if made.size != 1:
            raise ModelError(f"{where}: has {made.size} values, the model says it is one number; export it again")
        return float(made.ravel()[0]) if kind == "doubleType" else whole(made.ravel()[0], where)
    if kind == "dictionaryType" and not isinstance(value, Mapping):
        raise ModelError(f"{where}: is {a_kind(value)}, the model says it is a dictionary; export it again")
    return value


def whole(value: Any, where: str) -> int:
    found = number(value, where)
    if not math.isfinite(found) or found != int(found):
        raise DataError(f"{where}: is {quoted(value)}, expected an integer")
    return int(np.asarray(value).ravel()[0]) if not isinstance(value, int) else value


def number(value: Any, where: str) -> float:
    """One number, also as an array of one."""
    made = np.asarray(value)
    if made.size != 1 or made.dtype.kind not in "biuf":
        shape = f" of the shape {list(made.shape)}" if made.ndim else ""
        raise DataError(f"{where}: is {a_kind(value)}{shape}, expected one number")
    return float(made.ravel()[0])


def text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: is {a_kind(value)}, expected text")
    return str(value)


def _dictionary(described: Any, value: Any, where: str) -> dict[Any, float]:
    if not isinstance(value, Mapping):
        raise DataError(f"{where}: is {a_kind(value)}, expected a dictionary; write {{'key': 1.0}}")
    key = whole if described.WhichOneof("KeyType") == "int64KeyType" else text
    return {
        key(name, f"{where}: key {quoted(name)}"): number(held, f"{where}: {quoted(name)}")
        for name, held in value.items()
    }


def _sequence(described: Any, value: Any, where: str) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
        raise DataError(f"{where}: is {a_kind(value)}, expected a list")
    size = described.sizeRange
    if described.HasField("sizeRange") and not (
        len(value) >= size.lowerBound and (size.upperBound < 0 or len(value) <= size.upperBound)
    ):
        most = f" to {size.upperBound}" if size.upperBound >= 0 else " or more"
        raise DataError(f"{where}: has {len(value)} entries, the model expects {size.lowerBound}{most}")
    entry = whole if described.WhichOneof("Type") == "int64Type" else text
    return [entry(one, f"{where}: entry {number}") for number, one in enumerate(value)]
