"""What every runnable model can do, whatever is inside."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, overload

from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.runtime.io.row import FrozenRow, Row
from coreml_updatable.runtime.part import Part
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels, last_member
from coreml_updatable.spec.parameters import Parameter, update_parameters
from coreml_updatable.spec.samples import sample_counts
from coreml_updatable.spec.summary import Feature, described, one_line

Prediction: TypeAlias = dict[str, Any]


class RunnableModel(ABC):
    """A model that predicts as Core ML does. Answers go by the model's own output names."""

    assumptions = PredictionAssumptions()  # under which it predicts; an Assumptions where it was loaded with one
    part: Part  # the part that no update changes; rows frozen by an equal one may be given

    @property
    @abstractmethod
    def message(self) -> Model:
        """The ``Model`` message, with what was learned. Do not change it."""

    @property
    @abstractmethod
    def base(self) -> Model:
        """The message before any update."""

    @overload
    def predict(self, rows: Row, intermediate: bool = False) -> Prediction: ...
    @overload
    def predict(self, rows: Sequence[Row], intermediate: bool = False) -> list[Prediction]: ...
    @abstractmethod
    def predict(self, rows: Row | Sequence[Row], intermediate: bool = False) -> Prediction | list[Prediction]:
        """Return the answer for one row, or a list of answers for several."""

    @abstractmethod
    def frozen(self, rows: Sequence[Row], numbers: Sequence[int] | None = None) -> list[FrozenRow]:
        """Return the rows after the part that no update changes; it runs once per row.

        ``numbers``: the rows' numbers in errors, 0, 1, ... if not given.
        """

    @property
    def inputs(self) -> tuple[Feature, ...]:
        """The features that a row must have: name, type in words, description."""
        return described(self.base.description.input)

    @property
    def outputs(self) -> tuple[Feature, ...]:
        """The features of an answer."""
        return described(self.base.description.output)

    @property
    def labels(self) -> tuple[str | int, ...]:
        """The class labels in the order of the network's outputs, or those that a k-NN has samples of; else empty."""
        learner = last_member(self.message)
        if learner.WhichOneof("Type") == "kNearestNeighborsClassifier":
            return tuple(sample_counts(learner))
        return tuple(class_labels(learner))

    @property
    def is_updatable(self) -> bool:
        """Whether a device can update the model."""
        return bool(self.base.isUpdatable)

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The update parameters by the names of ``MLParameterKey``; empty where the model is not updatable."""
        return {parameter.name: parameter for parameter in update_parameters(self.base)}

    def __repr__(self) -> str:
        return f"<{one_line(self.message)}>"


def as_rows(rows: Row | Sequence[Row]) -> tuple[list[Row], bool]:
    """The rows as a list, and whether a single one was given."""
    if isinstance(rows, Mapping | FrozenRow):
        return [rows], True
    return list(rows), False


def numbered(rows: Sequence[Row], numbers: Sequence[int] | None) -> list[tuple[int, Row]]:
    """Each row with its number in errors."""
    return list(zip(range(len(rows)) if numbers is None else numbers, rows, strict=True))
