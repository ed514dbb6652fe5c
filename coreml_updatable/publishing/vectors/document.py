"""NAME.vectors.json: rows to ask, answers to expect, and how near they must be. These classes are its schema.

Schema 3 has exercises: what to ask, after which update, and one outcome for each way of reading what Apple leaves open.
Schema 2 had the answers before and after one update; it is read as two exercises of one outcome each.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coreml_updatable.data.pictures import PNG_NAME
from coreml_updatable.errors import DataError, first_fault, wrong_schema
from coreml_updatable.text import json_text

SCHEMA: Literal[3] = 3
SUFFIX = ".vectors.json"
BEFORE, AFTER = "before", "after"  # the exercises that every network and k-NN has: the base, and its owner's update
MAXIMUM_BYTES = 100_000_000
PHOTO_NAME = PNG_NAME.replace("png", "(png|jpg)")


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_by_name=True, serialize_by_alias=True
    )


class Picture(_Part):
    """A PNG file of the model's size, beside the vectors."""

    png: Annotated[str, Field(pattern=PNG_NAME)]


class Photo(_Part):
    """A file beside the vectors of any size: turned as its EXIF orientation says, then fitted as the model's metadata
    say (``coreml_updatable.crop``)."""

    photo: Annotated[str, Field(pattern=PHOTO_NAME)]


class Array(_Part):
    """A multi-array, its elements in the order of C."""

    shape: tuple[Annotated[int, Field(ge=0)], ...]
    values: tuple[float, ...]


Value = str | int | float | dict[str, float] | Picture | Photo | Array
Row = dict[str, Value]
Losses = dict[str, tuple[float, ...]]


class Outcome(_Part):
    """What one device answers. ``assumptions``: its choices other than those of the document.

    ``losses``: for each event of the update (``miniBatchEnd``, ``epochEnd``), the lossValue of each time it comes, in
    order; None where no update ran, and for a k-NN, whose events are documented nowhere.
    """

    assumptions: dict[str, str] = {}
    answers: tuple[Row, ...]
    losses: Losses | None = None


class Update(_Part):
    """``parameters`` by MLParameterKey, and the rows to learn from, in this order."""

    parameters: dict[str, bool | int | float]
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]


class Exercise(_Part):
    """Update the model (or not), ask every row, and compare. A device passes with any one of the outcomes.

    ``tolerance``: most that a probability, or any other number of an answer, may differ by. ``change_tolerance``: most
    that the change of lossValue since the first event may differ by, as a share of the largest change; rounding moves
    all losses alike, another learning rate does not. Only where the loss falls steadily.
    """

    name: str
    tolerance: Annotated[float, Field(gt=0)]
    change_tolerance: Annotated[float, Field(gt=0)] | None = None
    update: Update | None = None
    asked: Annotated[tuple[Row, ...], Field(min_length=1)]
    outcomes: Annotated[tuple[Outcome, ...], Field(min_length=1)]


class LeastSystems(_Part):
    """The first system that runs the model, and the first that runs the Swift package around it."""

    model: str
    code: str


class Vectors(_Part):
    """``sha256``: of the model's file. ``assumptions``: how the simulator read what Apple leaves open.

    ``loss_tolerance``: most that a lossValue may differ by, relative above 1. ``unnoticed``: mistakes of an app that
    these vectors would not notice, because the model does not answer otherwise.
    """

    format: Annotated[Literal[3], Field(alias="schema")] = SCHEMA
    model: str
    sha256: str
    least_ios: LeastSystems | None = None
    assumptions: dict[str, str]
    loss_tolerance: Annotated[float, Field(gt=0)] = 0.02
    exercises: Annotated[tuple[Exercise, ...], Field(min_length=1)]
    unnoticed: tuple[str, ...] = ()

    def exercise(self, name: str) -> Exercise | None:
        """Return the exercise of that name, or None."""
        return next((exercise for exercise in self.exercises if exercise.name == name), None)


def read_vectors(path: Path) -> Vectors:
    """The vectors in ``path``; a DataError for what is none."""
    return _read(path, {2: _of_schema_2})


def read_published_vectors(path: Path) -> Vectors:
    """The same of a release, which keeps the vectors it came with: those of an older schema are read too.

    The assumptions of schema 1 have the names of their time, so they are to be shown, not replayed.
    """
    return _read(path, {1: _of_schema_1, 2: _of_schema_2})


def _of_schema_1(value: dict[str, Any]) -> dict[str, Any]:
    """Assumptions were called variants."""
    return _of_schema_2({"assumptions": value.pop("variants"), **value})


def _of_schema_2(value: dict[str, Any]) -> dict[str, Any]:
    """The answers to ``rows`` before, and after one update; ``sensitive`` said which assumptions change the latter."""
    rows, tolerances, update = value.pop("rows"), value.pop("tolerances"), value.pop("update")
    exercises = [
        {
            "name": BEFORE,
            "tolerance": tolerances["before"],
            "asked": rows,
            "outcomes": [{"answers": value.pop("before")}],
        }
    ]
    if update is not None:
        exercises.append(
            {
                "name": AFTER,
                "tolerance": tolerances["after"],
                "update": {"parameters": update["parameters"], "rows": update["rows"]},
                "asked": rows,
                "outcomes": [{"answers": update["after"]}],
            }
        )
    return {**value, "schema": SCHEMA, "exercises": exercises}


def _read(path: Path, older: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]) -> Vectors:
    """``older``: schemas that are read too, and what makes the present one of them."""
    if not path.is_file() or path.stat().st_size > MAXIMUM_BYTES:
        raise DataError(f"{path}: is not a file of golden vectors, expected NAME{SUFFIX}; check the path")
    content = path.read_bytes()
    try:
        value: Any = json.loads(content)
        result: Any = value["schema"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{path}: is not valid JSON of golden vectors; fetch it again") from None
    if isinstance(result, int) and result in older:
        try:
            content, result = json.dumps(older[result](value)).encode(), SCHEMA
        except KeyError as missing:
            raise DataError(f"{path}: {missing.args[0]}: Field required; fetch it again") from None
        except TypeError:
            raise DataError(f"{path}: is not valid JSON of golden vectors; fetch it again") from None
    if result != SCHEMA:
        raise DataError(f"{path}: {wrong_schema(result, SCHEMA, 'build the model again, which writes them')}")
    try:
        vectors = Vectors.model_validate_json(content)
    except ValidationError as error:
        raise DataError(f"{path}: {first_fault(error)}; fetch it again") from None
    for exercise in vectors.exercises:
        answers = [len(outcome.answers) for outcome in exercise.outcomes]
        if any(count != len(exercise.asked) for count in answers):
            raise DataError(
                f"{path}: {exercise.name}: has {len(exercise.asked)} rows, {answers} predictions, expected equal "
                "numbers; fetch it again"
            )
    return vectors


def to_bytes(vectors: Vectors) -> bytes:
    text = json_text(vectors.model_dump(mode="json", exclude_none=True), indent=1)
    return (text + "\n").encode()
