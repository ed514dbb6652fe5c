"""A folder of class folders, ``photos/salad/*.jpg``: its files, their digest, their labels, and what they hold.

A class folder is called as one of the recipe's kinds, as a label itself, or as the owner's kind. Pictures may lie in
it at any depth. Hidden files are left out; a symbolic link that leads out of the folder is not followed: a file is
skipped and named, a class folder is refused.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable.data.arrays import read_array
from coreml_updatable.data.inputs import Float32Array, ImageInput, Input, Progress, UInt8Array, silent
from coreml_updatable.data.pictures import calm_decoders, decode, picture_size
from coreml_updatable.data.stored import StoredRows
from coreml_updatable.data.wanted import Wanted
from coreml_updatable.errors import DataError

MAXIMUM_FILES = 1_000_000
CLUTTER = {"thumbs.db", "desktop.ini"}  # what Windows leaves in folders of pictures


@dataclass(frozen=True)
class DataFile:
    """A file: what it shows, its path, its name for the report, and the split its collection gave it, if any."""

    kind: str
    path: Path
    name: str
    test: bool | None = None


@dataclass(frozen=True)
class Listing:
    photos: tuple[DataFile, ...]
    skipped: tuple[str, ...]  # one sentence each


def files_below(folder: Path) -> Iterator[Path]:
    """Every regular file at any depth, sorted; hidden ones are left out, symbolic links to folders not followed."""
    count = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.startswith(".") or name.lower() in CLUTTER:
                continue
            count += 1
            if count > MAXIMUM_FILES:
                raise DataError(
                    f"{folder}: has more than {MAXIMUM_FILES:,} files; pass the folder that contains the pictures"
                )
            path = Path(place, name)
            if path.is_file():
                yield path


def class_folders(folder: Path) -> list[Path]:
    """The folders directly in ``folder``, sorted, without hidden ones."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check the path") from error


def stays_inside(path: Path, root: Path) -> bool:
    """Return whether ``path``, with links resolved, is inside ``root``."""
    return path.resolve().is_relative_to(root.resolve())


def some_of(photos: Sequence[DataFile], most: int | None) -> list[DataFile]:
    """At most ``most`` of each kind, evenly from the whole of the sorted list."""
    if most is None:
        return list(photos)
    by_kind: dict[str, list[DataFile]] = {}
    for photo in photos:
        by_kind.setdefault(photo.kind, []).append(photo)
    return [photo for group in by_kind.values() for photo in _thinned(group, most)]


def _thinned(photos: list[DataFile], most: int) -> list[DataFile]:
    if len(photos) <= most:
        return photos
    return [photos[index * len(photos) // most] for index in range(most)]


def digest(folder: Path, classes: Collection[str] | None = None) -> str:
    """A sha256 over the names and bytes of the files that a build may read from ``folder``.

    With ``classes``, of the class folders (also within ``images``) only those named so count.
    """
    total = hashlib.sha256()
    for path in files_below(folder):
        place = path.relative_to(folder)
        if not stays_inside(path, folder) or not _counts(place, classes):
            continue
        name = place.as_posix().encode("utf-8", "surrogatepass")
        total.update(len(name).to_bytes(8, "big") + name)
        total.update(_content(path))
    return total.hexdigest()


def _counts(place: Path, classes: Collection[str] | None) -> bool:
    folders = [name for name in place.parts[:-1] if name not in ("food-101", "images")]
    return classes is None or not folders or folders[0] in classes or folders[0] == "meta"


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b"unreadable"


def list_folder(folder: Path, wanted: Wanted) -> Listing:
    """The files of every class folder, sorted; a DataError if a folder's name or content cannot be right."""
    if not folder.is_dir():
        raise DataError(f"{folder}: does not exist, expected a folder with one folder per class; check the path")
    classes = class_folders(folder)
    if not classes:
        raise DataError(f"{folder}: contains no folders, expected one per class, named {_names(wanted)}; add them")
    photos: list[DataFile] = []
    skipped = [f"{path.name}: is not in a class folder" for path in _loose_files(folder)]
    for place in classes:
        kind = _kind_of(place, folder, wanted)
        if kind is None:
            skipped.append(f"{place.name}: is not a kind or label of the recipe, and contains no pictures")
            continue
        if not stays_inside(place, folder):
            raise DataError(f"{place}: is a link to a place outside {folder}; copy the pictures there")
        before = len(photos)
        for path in files_below(place):
            name = path.relative_to(folder).as_posix()
            if stays_inside(path, folder):
                photos.append(DataFile(kind, path, name))
            else:
                skipped.append(f"{name}: is a link to a place outside the folder")
        if len(photos) == before:
            raise DataError(f"{place}: contains no pictures; add some or remove the folder")
    check_classes({photo.kind for photo in photos}, folder, wanted)
    return Listing(tuple(photos), tuple(skipped))


def check_classes(kinds: set[str], folder: Path, wanted: Wanted) -> None:
    """A DataError unless ``kinds`` cover every label, and the owner's kind."""
    result = {label for kind in kinds if (label := wanted.label_of(kind)) is not None}
    for label in wanted.labels:
        if label not in result:
            names = sorted({label, *(kind for kind, its_label in wanted.kinds.items() if its_label == label)})
            raise DataError(
                f"{folder}: has no pictures for the label {label!r}, expected a folder named {_any_of(names)}; add it"
            )
    for owner in wanted.owners:
        if owner.kind not in kinds:
            raise DataError(
                f"{folder}: holds no folder {owner.kind!r}, which the owner's pictures come from; "
                "add it, or drop [personalization] from the recipe"
            )


def _kind_of(place: Path, folder: Path, wanted: Wanted) -> str | None:
    """Return None for a folder that neither its name nor a picture makes a class."""
    known = wanted.known()
    if place.name in known:
        return place.name
    by_lower = {name.lower().replace("-", "_"): name for name in known}
    near = get_close_matches(place.name.lower().replace("-", "_").replace(" ", "_"), by_lower, n=1, cutoff=0.5)
    if not near and isinstance(wanted.input, ImageInput) and not _has_pictures(place, folder):
        return None
    hint = f"did you mean {by_lower[near[0]]!r}?" if near else f"the names are {_names(wanted)}"
    raise DataError(f"{place}: is not a kind or label of the recipe; {hint}")


def _has_pictures(place: Path, root: Path) -> bool:
    for path in files_below(place):
        if stays_inside(path, root):
            with suppress(DataError), calm_decoders():
                picture_size(path)
                return True
    return False


def _loose_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _names(wanted: Wanted) -> str:
    return ", ".join(wanted.known())


def _any_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


LARGE = 2**26  # bytes of rows that are held in memory at most
THREADS = 2  # that read files: the decoders work outside Python's lock


@dataclass(frozen=True)
class ReadFiles:
    photos: tuple[DataFile, ...]
    values: UInt8Array | Float32Array  # [n, ...] as in ``Examples``
    skipped: tuple[str, ...]  # one sentence each
    changed: Mapping[str, int]  # what was done to how many files, e.g. "cut to its middle"


def read_files(
    photos: Sequence[DataFile], target: Input, on_progress: Progress = silent, store: Path | None = None
) -> ReadFiles:
    """Decode every file, in order. A file that holds exactly what an earlier one did is left out, so that no picture
    is in two parts of the data; a kind of which no file could be read is a DataError. Rows of more than ``LARGE``
    bytes are written to ``store``, if it is given, and stay there."""
    shape, dtype = target.row
    large = store is not None and len(photos) * np.prod(shape) * np.dtype(dtype).itemsize > LARGE
    read: list[DataFile] = []
    values: list[Any] = []
    skipped: list[str] = []
    changed = Counter[str]()
    first_with: dict[bytes, str] = {}
    first_reason: dict[str, str] = {}
    with (
        store.open("wb") if store is not None and large else nullcontext() as file,
        calm_decoders(),
        ThreadPoolExecutor(THREADS) as pool,
    ):
        results = pool.map(lambda photo: _read(photo, target), photos)
        for done, (photo, result) in enumerate(zip(photos, results, strict=True), start=1):
            if isinstance(result, str):
                skipped.append(result)
                first_reason.setdefault(photo.kind, result)
            elif (earlier := first_with.setdefault(result[0], photo.name)) != photo.name:
                skipped.append(f"{photo.name}: the same file as {earlier}")
                first_reason.setdefault(photo.kind, skipped[-1])
            else:
                read.append(photo)
                if file is None:
                    values.append(result[1])
                else:
                    file.write(result[1].tobytes())
                changed.update(result[2])
            on_progress("data", done / len(photos), f"{done} of {len(photos)} photos read, {len(skipped)} left out")
    for kind in sorted({photo.kind for photo in photos} - {photo.kind for photo in read}):
        files = [photo for photo in photos if photo.kind == kind]
        raise DataError(
            f"{files[0].path.parent}: none of the {len(files)} files of {kind!r} can be used; the first reason: "
            f"{first_reason[kind]}"
        )
    rows: Any = StoredRows(store, shape, dtype, np.arange(len(read))) if store and large else np.stack(values)
    return ReadFiles(tuple(read), rows, tuple(skipped), dict(changed))


def _read(photo: DataFile, target: Input) -> tuple[bytes, UInt8Array | Float32Array, tuple[str, ...]] | str:
    """The file's digest, its values and what was done to them, or the sentence that says why not."""
    try:
        values: UInt8Array | Float32Array
        changes: tuple[str, ...] = ()
        if isinstance(target, ImageInput):
            values = decode(photo.path, target)
        else:
            heard = read_array(photo.path, target)
            values, changes = heard.values, tuple(_kind_of_change(change) for change in heard.changes)
        with photo.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest(), values, changes
    except DataError as error:
        return f"{photo.name}: {str(error).removeprefix(f'{photo.path}: ')}"
    except OSError as error:
        return f"{photo.name}: cannot be read ({error.strerror})"


def _kind_of_change(change: str) -> str:
    """Without how long this one was."""
    return change.partition(" from ")[0] if change.startswith("padded") else change
