"""Which files there are, before any is decoded."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coreml_updatable.errors import DataError

MAXIMUM_FILES = 1_000_000
CLUTTER = {"thumbs.db", "desktop.ini"}  # what Windows leaves in folders of pictures


@dataclass(frozen=True)
class Photo:
    """A file: what it shows, its path, its name for the report, and the split its collection gave it, if any."""

    kind: str
    path: Path
    name: str
    test: bool | None = None


@dataclass(frozen=True)
class Listing:
    photos: tuple[Photo, ...]
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
                raise DataError(f"{folder}: more than {MAXIMUM_FILES:,} files; give the folder of the pictures itself")
            path = Path(place, name)
            if path.is_file():
                yield path


def class_folders(folder: Path) -> list[Path]:
    """The folders directly in ``folder``, sorted, without hidden ones."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: can not be read ({error.strerror}); check the path") from error


def stays_inside(path: Path, root: Path) -> bool:
    """Whether ``path``, its links followed, lies in ``root``."""
    return path.resolve().is_relative_to(root.resolve())


def some_of(photos: Sequence[Photo], most: int | None) -> list[Photo]:
    """At most ``most`` of each kind, evenly from the whole of the sorted list."""
    if most is None:
        return list(photos)
    by_kind: dict[str, list[Photo]] = {}
    for photo in photos:
        by_kind.setdefault(photo.kind, []).append(photo)
    return [photo for group in by_kind.values() for photo in _thinned(group, most)]


def _thinned(photos: list[Photo], most: int) -> list[Photo]:
    if len(photos) <= most:
        return photos
    return [photos[index * len(photos) // most] for index in range(most)]
