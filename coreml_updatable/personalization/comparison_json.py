"""A comparison as JSON, and back: so that a build need not repeat the experiment to write its report again."""

import dataclasses
from functools import cache
from typing import Any

from coreml_updatable.errors import DataError
from coreml_updatable.personalization.results import Comparison


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Plain dicts, lists, texts and numbers, under the fields' own names."""
    return dataclasses.asdict(comparison)


def from_json(value: Any) -> Comparison:
    """The inverse of ``to_json``, after a passage through JSON or not. DataError if a field is missing or wrong."""
    from pydantic import ValidationError

    try:
        comparison: Comparison = _adapter().validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the comparison"
        raise DataError(f"comparison: {where}: {first['msg']}; run the comparison again") from error
    return comparison


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Comparison)
