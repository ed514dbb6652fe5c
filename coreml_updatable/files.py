"""Writing files so that a reader, and a killed writer, never leave half of one."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path``, flush it to the disk and rename it into place.

    The old file stays whole until the new one is complete; on any error the unfinished one is removed, and an OSError
    names ``path``.
    """
    write_all_atomically({path: content})


def write_all_atomically(contents: Mapping[Path, bytes]) -> None:
    """Write several files, renaming none before all are complete: a full disk leaves every old one whole."""
    finished: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            finished[path] = _written_beside(path, content)
        for path, part in finished.items():
            part.replace(path)
    except BaseException:
        for part in finished.values():
            part.unlink(missing_ok=True)
        raise


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that its owner alone can read; FileExistsError if anything, a link too, is there already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise


def _written_beside(path: Path, content: bytes) -> Path:
    """A new hidden file beside ``path`` that holds ``content``, on the disk."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        error.filename = str(path)
        raise
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o644)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise
    return part
