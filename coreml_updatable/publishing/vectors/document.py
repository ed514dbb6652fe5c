"""NAME.vectors.json: rows, answers to expect, and how near they must be. These classes are its schema."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coreml_updatable.errors import DataError
from coreml_updatable.text import json_text

SCHEMA: Literal[2] = 2  # 2: "assumptions" for what was "variants"
SUFFIX = ".vectors.json"
MAXIMUM_BYTES = 100_000_000
PNG_NAME = r"^([A-Za-z0-9_][A-Za-z0-9_-]{0,63}/)?[A-Za-z0-9_][A-Za-z0-9_-]{0,99}\.png$"


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_by_name=True, serialize_by_alias=True
    )


class Picture(_Part):
    """A PNG file, beside the vectors."""

    png: Annotated[str, Field(pattern=PNG_NAME)]


class Array(_Part):
    """A multi-array, its elements in the order of C."""

    shape: tuple[Annotated[int, Field(ge=0)], ...]
    values: tuple[float, ...]


Value = str | int | float | dict[str, float] | Picture | Array
Row = dict[str, Value]


class Tolerances(_Part):
    """Most that a probability, or any other number of an answer, may differ by."""

    before: Annotated[float, Field(gt=0)]
    after: Annotated[float, Field(gt=0)]


class ExpectedUpdate(_Part):
    """One update of the model with ``rows`` and ``parameters`` (by MLParameterKey), and the answers after it.

    ``sensitive``: the assumptions of which another choice moves an answer beyond the tolerance.
    """

    parameters: dict[str, bool | int | float]
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]
    after: tuple[Row, ...]
    sensitive: tuple[str, ...]


class Vectors(_Part):
    """``sha256``: of the model's file. ``assumptions``: how the simulator read what Apple leaves open."""

    format: Annotated[Literal[2], Field(alias="schema")] = SCHEMA
    model: str
    sha256: str
    assumptions: dict[str, str]
    tolerances: Tolerances
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]
    before: tuple[Row, ...]
    update: ExpectedUpdate | None


def read_vectors(path: Path) -> Vectors:
    """The vectors in ``path``; a DataError for what is none."""
    return _read(path, {})


def read_published_vectors(path: Path) -> Vectors:
    """The same of a release, which keeps the vectors it came with: those of an older schema are read too.

    Their assumptions have the names of their time, so they are to be shown, not replayed.
    """
    return _read(path, {1: ("variants", "assumptions")})


def _read(path: Path, older: Mapping[int, tuple[str, str]]) -> Vectors:
    """``older``: schemas that are read too, with the field that has another name in it, old and new."""
    if not path.is_file() or path.stat().st_size > MAXIMUM_BYTES:
        raise DataError(f"{path}: is not a file of golden vectors, expected NAME{SUFFIX}; check the path")
    content = path.read_bytes()
    try:
        value: Any = json.loads(content)
        found: Any = value["schema"]
        if isinstance(found, int) and found in older:
            before, now = older[found]
            value[now], value["schema"] = value.pop(before), SCHEMA
            content, found = json.dumps(value).encode(), SCHEMA
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{path}: is not valid JSON of golden vectors; fetch it again") from None
    if found != SCHEMA:
        newer = isinstance(found, int) and found > SCHEMA
        remedy = "use a newer coreml_updatable" if newer else "build the model again, which writes them"
        raise DataError(f"{path}: has the schema {found!r:.40}, expected {SCHEMA}; {remedy}")
    try:
        vectors = Vectors.model_validate_json(content)
    except ValidationError as error:
        first = max(error.errors(), key=lambda found: len(found["loc"]))  # of a union's, the one that came furthest
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}: {place}: {first['msg']}; fetch it again") from None
    answers = [len(vectors.before), len(vectors.update.after if vectors.update else vectors.rows)]
    if any(count != len(vectors.rows) for count in answers):
        raise DataError(
            f"{path}: has {len(vectors.rows)} rows, {answers} predictions, expected equal numbers; fetch it again"
        )
    return vectors


def to_bytes(vectors: Vectors) -> bytes:
    text = json_text(vectors.model_dump(mode="json"), indent=1)
    return (text + "\n").encode()
