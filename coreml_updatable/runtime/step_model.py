"""A feature step, tree ensemble or generalized linear model that runs, alone or in a pipeline. NumPy only."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.runtime.io.features import absent, answered, checked
from coreml_updatable.runtime.io.features import number as one_number
from coreml_updatable.runtime.io.row import FrozenRow, Row, expect_features, expect_mapping, expect_part
from coreml_updatable.runtime.model import Prediction, RunnableModel, as_rows, numbered
from coreml_updatable.runtime.part import Part
from coreml_updatable.runtime.steps import build_step
from coreml_updatable.runtime.steps.suppression import threshold_names
from coreml_updatable.spec.messages import Model


class StepModel(RunnableModel):
    """``load`` makes it; see RunnableModel for what it can do. No update changes it."""

    def __init__(self, message: Model, assumptions: PredictionAssumptions | None = None) -> None:
        self._message = message
        self.assumptions = assumptions or PredictionAssumptions()
        self._run = build_step(message, self.assumptions)
        self._free = threshold_names(message)
        self.part = Part(lambda: [message.description])

    @property
    def message(self) -> Model:
        return self._message

    @property
    def base(self) -> Model:
        return self._message

    @property
    def description(self) -> Any:
        return self._message.description

    @overload
    def predict(self, rows: Row, intermediate: bool = False) -> Prediction: ...
    @overload
    def predict(self, rows: Sequence[Row], intermediate: bool = False) -> list[Prediction]: ...

    def predict(self, rows: Row | Sequence[Row], intermediate: bool = False) -> Prediction | list[Prediction]:
        """The outputs, one dictionary a row. ``intermediate`` adds the inputs, as they were read."""
        many, single = as_rows(rows)
        given = [self._features(row, number) for number, row in enumerate(many)]
        with np.errstate(all="ignore"):
            made = self._run(given)
        answers = [self._answer(one) for one in made]
        if intermediate:
            answers = [{**features, **answer} for features, answer in zip(given, answers, strict=True)]
        return answers[0] if single else answers

    def frozen(self, rows: Sequence[Row], numbers: Sequence[int] | None = None) -> list[FrozenRow]:
        """The rows with their features checked."""
        made = []
        for number, row in numbered(rows, numbers):
            values = self._features(row, number)
            known = row.features if isinstance(row, FrozenRow) else row
            others = {name: value for name, value in known.items() if name not in values}
            made.append(FrozenRow(values, others, self.part))
        return made

    def _features(self, row: Row, number: int) -> dict[str, Any]:
        if isinstance(row, FrozenRow):
            expect_part(row, self.part, number)
            return dict(row.values)
        expect_mapping(row, number)
        inputs, free = self.description.input, self._free
        needed = [feature.name for feature in inputs if not feature.type.isOptional and feature.name not in free]
        known = [*(feature.name for feature in inputs), *free, self.description.predictedFeatureName]
        expect_features(row, needed, [name for name in known if name], number)
        made = {name: _number(row, name, number) for name in free}
        return {**made, **{one.name: _value(one, row, number) for one in inputs if one.name not in free}}

    def _answer(self, made: Mapping[str, Any]) -> Prediction:
        described = {feature.name: feature for feature in self.description.output}
        for name in described:
            if name not in made:
                kind = self._message.WhichOneof("Type")
                raise ModelError(f"model: describes the output '{name}', which a {kind} does not give; check the names")
        return {name: answered(described[name], value) if name in described else value for name, value in made.items()}


def _number(row: Mapping[str, Any], name: str, index: int) -> float:
    """NaN, which stands for a missing number, where the row has none."""
    return one_number(row[name], f"row {index}: feature '{name}'") if name in row else math.nan


def _value(feature: Any, row: Mapping[str, Any], number: int) -> Any:
    where = f"row {number}: feature '{feature.name}'"
    return checked(feature, row[feature.name], where) if feature.name in row else absent(feature, where)
