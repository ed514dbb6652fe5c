"""Many files -> pictures or arrays, on a few threads; what cannot be read is named and counted."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreml_updatable.data.arrays import read_array
from coreml_updatable.data.folders import Photo
from coreml_updatable.data.inputs import Float32Array, ImageInput, Input, Progress, UInt8Array, silent
from coreml_updatable.data.pictures import calm_decoders, decode
from coreml_updatable.errors import DataError

THREADS = 2  # the decoders work outside Python's lock


@dataclass(frozen=True)
class ReadFiles:
    photos: tuple[Photo, ...]
    values: UInt8Array | Float32Array  # [n, ...] as in ``Examples``
    skipped: tuple[str, ...]  # one sentence each
    changed: Mapping[str, int]  # what was done to how many files, e.g. "cut to its middle"


def read_files(photos: Sequence[Photo], target: Input, on_progress: Progress = silent) -> ReadFiles:
    """Decode every file, in order. A file that holds exactly what an earlier one did is left out, so that no picture
    is in two parts of the data; a kind of which no file could be read is a DataError."""
    read: list[Photo] = []
    values: list[Any] = []
    skipped: list[str] = []
    changed = Counter[str]()
    first_with: dict[bytes, str] = {}
    first_reason: dict[str, str] = {}
    with calm_decoders(), ThreadPoolExecutor(THREADS) as pool:
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
                values.append(result[1])
                changed.update(result[2])
            on_progress("data", done / len(photos), f"{done} of {len(photos)} photos read, {len(skipped)} left out")
    for kind in sorted({photo.kind for photo in photos} - {photo.kind for photo in read}):
        files = [photo for photo in photos if photo.kind == kind]
        raise DataError(
            f"{files[0].path.parent}: no file of {kind!r} can be used ({len(files)} in all); "
            f"the first reason: {first_reason[kind]}"
        )
    return ReadFiles(tuple(read), np.stack(values), tuple(skipped), dict(changed))


def _read(photo: Photo, target: Input) -> tuple[bytes, UInt8Array | Float32Array, tuple[str, ...]] | str:
    """The file's digest, its values and what was done to them, or the sentence that says why not."""
    try:
        values: UInt8Array | Float32Array
        changes: tuple[str, ...] = ()
        if isinstance(target, ImageInput):
            values = decode(photo.path, target)
        else:
            heard = read_array(photo.path, target)
            values, changes = heard.values, tuple(_kind_of_change(one) for one in heard.changes)
        with photo.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest(), values, changes
    except DataError as error:
        return f"{photo.name}: {str(error).removeprefix(f'{photo.path}: ')}"
    except OSError as error:
        return f"{photo.name}: cannot be read ({error.strerror})"


def _kind_of_change(change: str) -> str:
    """Without how long this one was."""
    return change.partition(" from ")[0] if change.startswith("padded") else change
