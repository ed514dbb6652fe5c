"""Helpers for the steps: access their single input and output, apply a function to each row, and convert rows to a
matrix.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import DataError, ModelError, a_kind
from coreml_updatable.spec.messages import FeatureDescription, Model

NUMBERS = ("multiArrayType", "doubleType", "int64Type")
CATEGORIES = ("stringType", "int64Type")


def the_input(model: Model) -> FeatureDescription:
    return _single(model, model.description.input, "inputs")


def the_output(model: Model) -> FeatureDescription:
    return _single(model, model.description.output, "outputs")


def each(
    model: Model, function: Callable[[Any, str], Any], kinds: Sequence[str]
) -> Callable[..., list[dict[str, Any]]]:
    """Apply ``function(value, where)`` to the only input of each row; ``where`` names row and feature for errors.

    ``kinds``: the types that the input may have; ModelError for another.
    """
    kind = the_input(model).type.WhichOneof("Type")
    if kind not in kinds:
        raise ModelError(
            f"model: a {model.WhichOneof('Type')} whose input is {kind}, expected {' or '.join(kinds)}; "
            "export the model again"
        )
    source, target = str(the_input(model).name), str(the_output(model).name)

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{target: function(row[source], f"row {index}: feature '{source}'")} for index, row in enumerate(rows)]

    return run


def matrix(model: Model, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Concatenate all inputs of each row, in the order of the description: [n, D]."""
    names = [str(feature.name) for feature in model.description.input]
    vectors = [np.concatenate([flat(row[name]) for name in names]) if names else np.zeros(0) for row in rows]
    if len({len(vector) for vector in vectors}) > 1:
        raise DataError("rows have different numbers of values; give them the same shape, or predict them one by one")
    return np.stack(vectors) if vectors else np.zeros((0, 0))


def expect_width(x: NDArray[np.float64], width: int, model: Model) -> None:
    if len(x) and x.shape[1] != width:
        raise ModelError(
            f"model: its inputs have {x.shape[1]} values per row, the {model.WhichOneof('Type')} reads {width}; "
            "export the model again"
        )


def expect_numbers(x: NDArray[np.float64]) -> None:
    """Raise DataError for a NaN in a model that gives it no meaning."""
    if np.isnan(x).any():
        row, column = np.argwhere(np.isnan(x))[0]
        raise DataError(f"row {row}: value {column} of its features is NaN; remove the row or correct it")


def flat(value: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError):
        raise ModelError(f"model: an input is {a_kind(value)}, expected numbers; export the model again") from None


def _single(model: Model, features: Any, what: str) -> FeatureDescription:
    if len(features) != 1:
        raise ModelError(
            f"model: a {model.WhichOneof('Type')} with {len(features)} {what}, expected 1; export the model again"
        )
    return features[0]
