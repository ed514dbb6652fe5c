"""The base class of all loaded models."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, Self, TypeAlias, overload

from coreml_updatable.errors import DataError, a_kind
from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.runtime.io.row import FrozenRow, Row
from coreml_updatable.runtime.part import Part
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels, last_member
from coreml_updatable.spec.parameters import Parameter, update_parameters
from coreml_updatable.spec.samples import sample_counts
from coreml_updatable.spec.summary import Feature, described, one_line

Prediction: TypeAlias = dict[str, Any]
Intermediate: TypeAlias = bool | Collection[str]


class RunnableModel(ABC):
    """A model that predicts as Core ML does. Answers use the model's own output names.

    ``assumed``: names of the prediction assumptions that its answers may depend on.
    """

    assumed: frozenset[str] = frozenset()

    def __init__(self, message: Model, assumptions: PredictionAssumptions | None = None) -> None:
        self.base = message  # before any update
        self.assumptions = assumptions or PredictionAssumptions()  # under which it predicts
        self.part: Part  # the part that no update changes; rows frozen by an equal one may be given
        self._message: Model | None = message

    @property
    def message(self) -> Model:
        """Return the ``Model`` message with everything learned, created on first use. Do not change it."""
        if self._message is None:
            self._message = self._written_back()
        return self._message

    @property
    def description(self) -> Any:
        """Return the description of the model, which no update changes."""
        return self.base.description

    def _written_back(self) -> Model:
        """Return a copy of ``base`` with everything learned."""
        raise NotImplementedError

    def _changed(self, **attributes: Any) -> Self:
        """Return the same model with other attributes, whose message is still to be made. It shares all others."""
        model = copy(self)
        vars(model).update(attributes, _message=None)
        return model

    @overload
    def predict(self, rows: Row, intermediate: Intermediate = False) -> Prediction: ...
    @overload
    def predict(self, rows: Sequence[Row], intermediate: Intermediate = False) -> list[Prediction]: ...

    def predict(self, rows: Row | Sequence[Row], intermediate: Intermediate = False) -> Prediction | list[Prediction]:
        """Return the answer for one row, or a list of answers for several.

        ``intermediate`` adds intermediate values: the blobs of a network by name (for a FrozenRow, those that its
        frozen part kept), those of a pipeline's members as "model0.blob", the vector that a k-NN looks up, and the
        inputs of other models as they were read. With a collection of names, only these blobs of a network are kept,
        which saves memory if there are many rows.
        """
        given: Any = rows
        if not isinstance(given, Iterable | FrozenRow) or isinstance(given, str | bytes) or _is_single(given):
            raise DataError(
                f"rows: is {a_kind(given)}, expected a row or a list of rows; write {{'image': picture}} for a row"
            )
        single = isinstance(rows, Mapping | FrozenRow)
        listed = [rows] if isinstance(rows, Mapping | FrozenRow) else list(rows)
        named = isinstance(intermediate, list | tuple | set | frozenset) and all(
            isinstance(n, str) for n in intermediate
        )
        answers = self._predict(listed, intermediate if named else bool(intermediate))
        return answers[0] if single else answers

    @abstractmethod
    def _predict(self, rows: list[Row], intermediate: Intermediate) -> list[Prediction]:
        """Return the answer for each row."""

    @abstractmethod
    def frozen(self, rows: Sequence[Row], numbers: Sequence[int] | None = None) -> list[FrozenRow]:
        """Run the part that no update changes once per row, and return its results.

        ``numbers``: the indices of the rows for errors; 0, 1, ... by default.
        """

    @property
    def inputs(self) -> tuple[Feature, ...]:
        """Return the features that a row must have: name, type in words, description."""
        return described(self.base.description.input)

    @property
    def outputs(self) -> tuple[Feature, ...]:
        """Return the features of an answer."""
        return described(self.base.description.output)

    @property
    def labels(self) -> tuple[str | int, ...]:
        """Return the class labels in the order of a network's outputs, or those of a k-NN's samples, or nothing."""
        learner = last_member(self.message)
        if learner.WhichOneof("Type") == "kNearestNeighborsClassifier":
            return tuple(sample_counts(learner))
        return tuple(class_labels(learner))

    @property
    def is_updatable(self) -> bool:
        """Return whether a device can update the model."""
        return bool(self.base.isUpdatable)

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Return the update parameters by the names of ``MLParameterKey``; empty if the model is not updatable."""
        return {parameter.name: parameter for parameter in update_parameters(self.base)}

    @property
    def engine(self) -> str:
        """Return the engine that last ran a network's fixed part, such as "torch 2.13.0"; empty without a network."""
        return ""

    def __repr__(self) -> str:
        return f"<{one_line(self.message)}>"


def _is_single(value: Any) -> bool:
    """Return whether ``value`` is an array without axes, which looks iterable but is not."""
    return getattr(value, "ndim", 1) == 0


def numbered(rows: Sequence[Row], numbers: Sequence[int] | None) -> list[tuple[int, Row]]:
    """Return each row with its index, for errors."""
    return list(zip(range(len(rows)) if numbers is None else numbers, rows, strict=True))
