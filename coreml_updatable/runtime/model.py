"""What every runnable model can do, whatever is inside."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, overload

from coreml_updatable.runtime.part import Part
from coreml_updatable.runtime.row import FrozenRow, Row
from coreml_updatable.spec.messages import Model

Prediction: TypeAlias = dict[str, Any]


class RunnableModel(Protocol):
    """A model that predicts as Core ML does. Answers go by the model's own output names."""

    @property
    def message(self) -> Model:
        """The ``Model`` message, with what was learnt. Do not change it."""

    @overload
    def predict(self, rows: Row, intermediate: bool = False) -> Prediction: ...
    @overload
    def predict(self, rows: Sequence[Row], intermediate: bool = False) -> list[Prediction]: ...

    @property
    def part(self) -> Part:
        """The part that no update changes; rows frozen by an equal one may be given."""

    def frozen(self, rows: Sequence[Row], numbers: Sequence[int] | None = None) -> list[FrozenRow]:
        """The rows after the part that no update changes; it runs once a row.

        ``numbers``: the rows' numbers in errors, 0, 1, ... if not given.
        """


def as_rows(rows: Row | Sequence[Row]) -> tuple[list[Row], bool]:
    """The rows as a list, and whether a single one was given."""
    if isinstance(rows, Mapping | FrozenRow):
        return [rows], True
    return list(rows), False


def numbered(rows: Sequence[Row], numbers: Sequence[int] | None) -> list[tuple[int, Row]]:
    """Each row with its number in errors."""
    return list(zip(range(len(rows)) if numbers is None else numbers, rows, strict=True))
