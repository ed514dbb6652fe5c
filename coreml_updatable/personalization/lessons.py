"""Read an owner's lessons, and train a new base on them: the archive that the Swift package backs up.

The format is in docs/lessons.md: an uncompressed tar with ``lessons.json`` first, and one file of raw numbers an
example.
"""

import hashlib
import tarfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coreml_updatable.data.pictures import FITS, fit_of
from coreml_updatable.errors import DataError, ModelError, first_fault
from coreml_updatable.runtime import RunnableModel
from coreml_updatable.updating import UpdateContext, UpdateTask
from coreml_updatable.updating.assumptions import Assumptions

MANIFEST = "lessons.json"
MAX_LESSONS = 10_000
MAX_MANIFEST_BYTES = 8 << 20
MAX_EXAMPLE_BYTES = 64 << 20
MAX_ARCHIVE_BYTES = 1 << 30
ITEM_BYTES = {"rgb8": 1, "gray8": 1, "float32": 4}


@dataclass(frozen=True)
class Lesson:
    """One example of the owner's: uint8 [height, width, 3] or [height, width], or float32 of any shape."""

    label: str
    example: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    date: datetime
    id: uuid.UUID


@dataclass(frozen=True)
class Lessons:
    """The lessons of one owner. ``base``: the SHA-256 of the base that it was trained from last."""

    model: str
    base: str
    lessons: tuple[Lesson, ...]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: uuid.UUID
    label: Annotated[str, Field(min_length=1, max_length=1000)]
    date: datetime
    kind: Literal["rgb8", "gray8", "float32"]
    shape: Annotated[tuple[Annotated[int, Field(ge=1, le=MAX_EXAMPLE_BYTES)], ...], Field(min_length=1, max_length=8)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def file(self) -> str:
        return f"lessons/{self.id}.bin"

    @property
    def size(self) -> int | None:
        """The bytes of the example; None for a shape that its kind cannot have."""
        if (self.kind == "rgb8" and (len(self.shape) != 3 or self.shape[2] != 3)) or (
            self.kind == "gray8" and len(self.shape) != 2
        ):
            return None
        size = ITEM_BYTES[self.kind]
        for length in self.shape:
            size *= length
        return size if size <= MAX_EXAMPLE_BYTES else None


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1]
    model: Annotated[str, Field(min_length=1, max_length=200)]
    base: Annotated[str, Field(max_length=64)]
    lessons: Annotated[tuple[_Entry, ...], Field(max_length=MAX_LESSONS)]


def read_lessons(path: str | PathLike[str]) -> Lessons:
    """Return the lessons of an archive.

    Raises DataError for what is not one: another format, a name that the manifest does not list, a wrong sum, a
    missing or oversized entry. Nothing is unpacked to the disk.
    """
    place = Path(path)
    if not place.is_file():
        raise DataError(f"{place}: is not a file, expected an archive of lessons; check the path")
    if place.stat().st_size > MAX_ARCHIVE_BYTES:
        raise DataError(
            f"{place}: {place.stat().st_size:,} bytes, expected at most {MAX_ARCHIVE_BYTES:,}; make a smaller backup"
        )
    try:
        with tarfile.open(place, "r:") as archive:
            entries = _entries(archive, place)
            name, content = next(entries, ("", b""))
            if name != MANIFEST:
                raise DataError(f"{place}: begins with {name!r:.100}, expected {MANIFEST}; make the backup again")
            manifest = _manifest(content, place)
            open_entries = {entry.file: entry for entry in manifest.lessons}
            examples: dict[uuid.UUID, npt.NDArray[Any]] = {}
            for name, content in entries:
                entry = open_entries.pop(name, None)
                if entry is None:
                    raise DataError(
                        f"{place}: holds {name!r:.100}, which {MANIFEST} does not list; make the backup again"
                    )
                examples[entry.id] = _example(entry, content, place)
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{place}: is not a whole tar archive ({error}); make the backup again") from None
    if open_entries:
        raise DataError(f"{place}: lacks {len(open_entries)} of its lessons, expected all; make the backup again")
    lessons = (Lesson(entry.label, examples[entry.id], entry.date, entry.id) for entry in manifest.lessons)
    return Lessons(manifest.model, manifest.base, tuple(lessons))


def rebase(
    base: RunnableModel,
    lessons: Lessons,
    parameters: Mapping[str, Any] | None = None,
    assumptions: Assumptions | None = None,
    replay: Iterable[Mapping[str, Any]] = (),
) -> UpdateContext:
    """Train ``base`` on an owner's lessons, as an app does when a new version of its model arrives.

    ``parameters`` are those of ``UpdateTask``; ``replay``: labeled base rows to mix in, behind the lessons. Raises
    ModelError where the base is not updatable or does not take what the lessons hold, DataError where there are none.
    """
    if not lessons.lessons:
        raise DataError(f"lessons of {lessons.model}: there are none, expected at least one; use the base as it is")
    task = UpdateTask(base, [*rows_of(base, lessons), *replay], parameters=parameters, assumptions=assumptions)
    return task.resume()


def rows_of(model: RunnableModel, lessons: Lessons) -> list[dict[str, Any]]:
    """Return the lessons as training rows of ``model``; a picture of another size is scaled, as the app does it."""
    description = model.message.description
    if len(description.input) != 1:
        raise ModelError(f"model: has {len(description.input)} inputs, expected one, which the lessons are for")
    feature, label = description.input[0], description.predictedFeatureName
    fit = FITS[fit_of(model.message)]
    return [{feature.name: _value(lesson, feature, fit), label: lesson.label} for lesson in lessons.lessons]


def _value(lesson: Lesson, feature: Any, fit: Callable[[Image.Image, int, int], Image.Image]) -> Any:
    kind = feature.type.WhichOneof("Type")
    is_picture = lesson.example.dtype == np.uint8
    if is_picture != (kind == "imageType"):
        result = "a picture" if is_picture else f"an array of shape {lesson.example.shape}"
        raise ModelError(
            f"model: takes {kind} as {feature.name}, and a lesson is {result}; choose the lessons' own model"
        )
    if not is_picture:
        return lesson.example
    image = feature.type.imageType
    mode = "L" if image.colorSpace == image.GRAYSCALE else "RGB"
    return fit(Image.fromarray(lesson.example).convert(mode), image.width, image.height)


def _entries(archive: tarfile.TarFile, place: Path) -> Iterator[tuple[str, bytes]]:
    for count, member in enumerate(archive):
        limit = MAX_EXAMPLE_BYTES if count else MAX_MANIFEST_BYTES
        if not member.isreg() or member.size > limit or count > MAX_LESSONS:
            raise DataError(
                f"{place}: {member.name!r:.100} is not a plain file of at most {limit:,} bytes; make the backup again"
            )
        file = archive.extractfile(member)
        content = b"" if file is None else file.read()
        if len(content) != member.size:
            raise DataError(f"{place}: ends in the middle of {member.name!r:.100}; make the backup again")
        yield member.name, content


def _manifest(content: bytes, place: Path) -> _Manifest:
    try:
        manifest = _Manifest.model_validate_json(content)
    except ValidationError as error:
        raise DataError(f"{place}: {MANIFEST}: {first_fault(error)}; make the backup again") from None
    if len({entry.id for entry in manifest.lessons}) != len(manifest.lessons):
        raise DataError(f"{place}: {MANIFEST} lists a lesson twice; make the backup again")
    return manifest


def _example(entry: _Entry, content: bytes, place: Path) -> npt.NDArray[Any]:
    if entry.size != len(content) or hashlib.sha256(content).hexdigest() != entry.sha256:
        raise DataError(f"{place}: {entry.file} is not what {MANIFEST} says; make the backup again")
    dtype = np.dtype("<f4") if entry.kind == "float32" else np.dtype(np.uint8)
    return np.frombuffer(content, dtype).reshape(entry.shape).astype(dtype.newbyteorder("="))
