"""NAME.replay.json: base examples that an app mixes into every update. docs/personalization.md has the format."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coreml_updatable.data.pictures import PNG_NAME, png, read_png
from coreml_updatable.errors import DataError, first_fault
from coreml_updatable.personalization.replay_sets import Choice

SUFFIX = ".replay.json"
FOLDER = "replay"  # of the pictures
MAX_BYTES = 256 << 20
MAX_ROWS = 10_000


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReplayPicture(_Part):
    """A PNG file of the model's size, beside the set."""

    png: Annotated[str, Field(pattern=PNG_NAME)]


class ReplayNumbers(_Part):
    """``float32``: the elements in the order of C, little-endian, in base64."""

    shape: Annotated[tuple[Annotated[int, Field(ge=0, le=1 << 30)], ...], Field(max_length=8)]
    float32: str


class ReplaySet(_Part):
    """``rows``: a value for each of the model's inputs, and the label. ``sha256``: of the file ``model``."""

    format: Annotated[Literal[1], Field(alias="schema")] = 1
    model: Annotated[str, Field(min_length=1, max_length=200)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    choice: Choice
    per_class: Annotated[int, Field(ge=1)]
    rows: Annotated[
        tuple[dict[str, ReplayPicture | ReplayNumbers | str | int], ...], Field(min_length=1, max_length=MAX_ROWS)
    ]


def replay_files(
    model: str, content: bytes, rows: Sequence[Mapping[str, Any]], choice: Choice, per_class: int
) -> dict[str, bytes]:
    """The files of a replay set for the file ``model``, whose bytes are ``content``, by their names.

    ``rows``: pictures uint8 [H, W, 1 or 3], arrays float32, and the label.
    """
    name = model.removesuffix(".mlmodel")
    files: dict[str, bytes] = {}

    def held(value: Any, index: int) -> Any:
        if isinstance(value, np.ndarray) and value.dtype == np.uint8:
            file = f"{FOLDER}/{name}-{index:02}.png"
            files[file] = png(value)
            return ReplayPicture(png=file)
        if isinstance(value, np.ndarray):
            little = np.ascontiguousarray(value, "<f4")
            return ReplayNumbers(shape=value.shape, float32=base64.b64encode(little.tobytes()).decode())
        return value

    result = ReplaySet.model_validate(
        {
            "schema": 1,
            "model": model,
            "sha256": hashlib.sha256(content).hexdigest(),
            "choice": choice,
            "per_class": per_class,
            "rows": [
                {feature: held(value, index) for feature, value in row.items()} for index, row in enumerate(rows, 1)
            ],
        }
    )
    return {f"{name}{SUFFIX}": (result.model_dump_json(by_alias=True, indent=1) + "\n").encode(), **files}


def read_replay_set(path: Path) -> ReplaySet:
    """Return the set in ``path``; DataError for what is not one."""
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: is not a file of at most {MAX_BYTES:,} bytes, expected NAME{SUFFIX}; check the path")
    try:
        return ReplaySet.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(f"{path}: {first_fault(error)}; build the model again") from None


def replay_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a set by name, as a model takes them; its pictures lie beside ``path``."""
    for index, row in enumerate(read_replay_set(path).rows):
        name = f"{path}[{index}]"
        yield name, {feature: _value(value, path.parent, name) for feature, value in row.items()}


def _value(value: Any, folder: Path, name: str) -> Any:
    match value:
        case ReplayPicture():
            return read_png(folder / value.png, "build the model again")
        case ReplayNumbers():
            try:
                content = base64.b64decode(value.float32, validate=True)
            except ValueError:
                raise DataError(f"{name}: has numbers that are not base64; build the model again") from None
            if len(content) != 4 * int(np.prod(value.shape, dtype=object)):
                raise DataError(
                    f"{name}: has {len(content)} bytes, expected 4 for each element of the shape {list(value.shape)}; "
                    "build the model again"
                )
            return np.frombuffer(content, "<f4").astype(np.float32).reshape(value.shape)
    return value
