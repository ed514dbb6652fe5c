"""Rows: what goes into a model. A plain mapping from feature names, or one whose frozen part has already run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from coreml_updatable.errors import DataError, a_kind
from coreml_updatable.runtime.part import Part


@dataclass(frozen=True)
class FrozenRow:
    """A row after the frozen part of a model: it can replace the row in every model with an equal frozen part.

    ``values``: what the rest of the model reads, by blob name. ``features``: the row's other features (its label).
    """

    values: Mapping[str, Any]
    features: Mapping[str, Any] = field(default_factory=dict)
    part: Part | None = None  # the frozen part that made it

    def with_features(self, **features: Any) -> "FrozenRow":
        """The same row with more features, such as the label to learn."""
        return replace(self, features={**self.features, **features})


Row: TypeAlias = Mapping[str, Any] | FrozenRow


def expect_mapping(row: Any, index: int) -> None:
    if not isinstance(row, Mapping):
        raise DataError(
            f"row {index}: is {a_kind(row)}, expected a mapping from feature names to values; "
            "write {'image': picture}"
        )


def expect_features(row: Mapping[str, Any], needed: Sequence[str], known: Sequence[str], index: int) -> None:
    """DataError unless the row has every feature in ``needed`` and none outside ``known``."""
    for name in needed:
        if name not in row:
            raise DataError(f"row {index}: feature '{name}' is missing; the model reads {_listed(needed)}")
    for name in row:
        if name not in known:
            raise DataError(
                f"row {index}: the model has no feature '{name}', expected only {_listed(known)}; remove it"
            )


def expect_part(row: FrozenRow, part: Part, index: int) -> None:
    if row.part != part:
        raise DataError(
            f"row {index}: was frozen by another model; pass the complete row, or freeze it with this model"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in dict.fromkeys(names))
