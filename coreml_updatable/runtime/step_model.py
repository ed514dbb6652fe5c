"""A runnable feature step, tree ensemble or generalized linear model, alone or in a pipeline. NumPy only.

Types of features in rows and answers: an int64 is a Python int, a double a float, a string a str, a dictionary a dict
from str or int to float, a sequence a list of str or int, and a multi-array a NumPy array of the declared type and
shape (arrays.py).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from coreml_updatable.errors import DataError, ModelError, a_kind, quoted
from coreml_updatable.runtime.assumptions import OF_STEPS, PredictionAssumptions
from coreml_updatable.runtime.io.arrays import array, default, in_type
from coreml_updatable.runtime.io.row import FrozenRow, Row, expect_features, expect_mapping, expect_part
from coreml_updatable.runtime.model import Intermediate, Prediction, RunnableModel, numbered
from coreml_updatable.runtime.part import Part
from coreml_updatable.runtime.steps import build_step
from coreml_updatable.runtime.steps.suppression import threshold_names
from coreml_updatable.spec.messages import FeatureDescription, Model, copy_of


def checked(feature: FeatureDescription, value: Any, where: str) -> Any:
    """Return ``value`` in the feature's type, or raise DataError. NaN is allowed: it represents a missing number."""
    kind = feature.type.WhichOneof("Type")
    match kind:
        case "int64Type":
            return as_integer(value, where)
        case "doubleType":
            return one_number(value, where)
        case "stringType":
            return text(value, where)
        case "dictionaryType":
            return _dictionary(feature.type.dictionaryType, value, where)
        case "sequenceType":
            return _sequence(feature.type.sequenceType, value, where)
        case "multiArrayType":
            return array(feature, value, where, flat=True)
        case "imageType":
            return value
    raise ModelError(f"model: input '{feature.name}' is a {kind}, which is not supported here; export the model again")


def absent(feature: FeatureDescription, where: str) -> Any:
    """Return the value of a missing optional feature: its default, or NaN for a double (a missing number)."""
    match feature.type.WhichOneof("Type"):
        case "multiArrayType":
            return default(feature)
        case "doubleType":
            return math.nan
    raise DataError(f"{where}: is missing and has no default; add it")


def answered(feature: FeatureDescription, value: Any) -> Any:
    """Convert an output to the type in its description."""
    kind = feature.type.WhichOneof("Type")
    where = f"output '{feature.name}'"
    if kind == "multiArrayType" and not isinstance(value, str | Mapping):
        declared = [int(size) for size in feature.type.multiArrayType.shape]
        result = np.asarray(value)
        if declared and min(declared) > 0 and math.prod(declared) == result.size:
            result = result.reshape(declared)
        return in_type(result, feature, where)
    if kind in ("doubleType", "int64Type") and not isinstance(value, str | Mapping):
        result = np.asarray(value, np.float64) if kind == "doubleType" else np.asarray(value)
        if result.size != 1:
            raise ModelError(f"{where}: has {result.size} values, but the model declares one number; export it again")
        return float(result.ravel()[0]) if kind == "doubleType" else as_integer(result.ravel()[0], where)
    if kind == "dictionaryType" and not isinstance(value, Mapping):
        raise ModelError(f"{where}: is {a_kind(value)}, but the model declares a dictionary; export it again")
    return value


def as_integer(value: Any, where: str) -> int:
    result = one_number(value, where)
    if not math.isfinite(result) or result != int(result):
        raise DataError(f"{where}: is {quoted(value)}, expected an integer")
    return int(np.asarray(value).ravel()[0]) if not isinstance(value, int) else value


def one_number(value: Any, where: str) -> float:
    """Return one number, which may be in an array of one."""
    result = np.asarray(value)
    if result.size != 1 or result.dtype.kind not in "biuf":
        shape = f" of the shape {list(result.shape)}" if result.ndim else ""
        raise DataError(f"{where}: is {a_kind(value)}{shape}, expected one number")
    return float(result.ravel()[0])


def text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: is {a_kind(value)}, expected text")
    return str(value)


def _dictionary(described: Any, value: Any, where: str) -> dict[Any, float]:
    if not isinstance(value, Mapping):
        raise DataError(f"{where}: is {a_kind(value)}, expected a dictionary; write {{'key': 1.0}}")
    key = as_integer if described.WhichOneof("KeyType") == "int64KeyType" else text
    return {
        key(name, f"{where}: key {quoted(name)}"): one_number(held, f"{where}: {quoted(name)}")
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
        raise DataError(f"{where}: has {len(value)} entries, but the model expects {size.lowerBound}{most}")
    entry = as_integer if described.WhichOneof("Type") == "int64Type" else text
    return [entry(item, f"{where}: entry {index}") for index, item in enumerate(value)]


class StepModel(RunnableModel):
    """A feature step, tree ensemble or linear model created by ``load``; see RunnableModel. No update changes it."""

    assumed = OF_STEPS

    def __init__(self, message: Model, assumptions: PredictionAssumptions | None = None) -> None:
        super().__init__(message, assumptions)
        self._run = build_step(message, self.assumptions)
        self._free = threshold_names(message)
        self._inputs = [_as_read(feature, message) for feature in message.description.input]
        self.part = Part(lambda: [message.description])

    def _predict(self, rows: list[Row], intermediate: Intermediate) -> list[Prediction]:
        given = [self._features(row, index) for index, row in enumerate(rows)]
        with np.errstate(all="ignore"):
            result = self._run(given)
        answers = [self._answer(outputs) for outputs in result]
        return [{**read, **answer} for read, answer in zip(given, answers, strict=True)] if intermediate else answers

    def frozen(self, rows: Sequence[Row], numbers: Sequence[int] | None = None) -> list[FrozenRow]:
        """Return the rows with their features checked."""
        result = []
        for index, row in numbered(rows, numbers):
            values = self._features(row, index)
            known = row.features if isinstance(row, FrozenRow) else row
            others = {name: value for name, value in known.items() if name not in values}
            result.append(FrozenRow(values, others, self.part))
        return result

    def _features(self, row: Row, index: int) -> dict[str, Any]:
        if isinstance(row, FrozenRow):
            expect_part(row, self.part, index)
            return dict(row.values)
        expect_mapping(row, index)
        inputs, free = self._inputs, self._free
        needed = [feature.name for feature in inputs if not feature.type.isOptional and feature.name not in free]
        known = [*(feature.name for feature in inputs), *free, self.description.predictedFeatureName]
        expect_features(row, needed, [name for name in known if name], index)
        result = {name: _number(row, name, index) for name in free}
        return {**result, **{value.name: _value(value, row, index) for value in inputs if value.name not in free}}

    def _answer(self, result: Mapping[str, Any]) -> Prediction:
        described = {feature.name: feature for feature in self.description.output}
        for name in described:
            if name not in result:
                kind = self.base.WhichOneof("Type")
                raise ModelError(f"model: describes the output '{name}', which a {kind} does not give; check the names")
        return {
            name: answered(described[name], value) if name in described else value for name, value in result.items()
        }


def _as_read(feature: FeatureDescription, message: Model) -> FeatureDescription:
    """A dictVectorizer reads the keys of its own map; coremltools' converter describes integers as text."""
    if message.dictVectorizer.WhichOneof("Map") != "int64ToIndex" or not feature.type.HasField("dictionaryType"):
        return feature
    read: FeatureDescription = copy_of(feature)
    read.type.dictionaryType.int64KeyType.SetInParent()
    return read


def _number(row: Mapping[str, Any], name: str, index: int) -> float:
    """Return the number, or NaN (a missing number) if the row has none."""
    return one_number(row[name], f"row {index}: feature '{name}'") if name in row else math.nan


def _value(feature: Any, row: Mapping[str, Any], index: int) -> Any:
    where = f"row {index}: feature '{feature.name}'"
    return checked(feature, row[feature.name], where) if feature.name in row else absent(feature, where)
