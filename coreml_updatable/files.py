"""Write files so that a reader, and a killed writer, never see half of one; hold a folder against a second writer."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from coreml_updatable.errors import UserError

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def refuse_lfs_pointer(path: Path, error: type[UserError]) -> None:
    """Raise ``error`` if a file, or one in a folder, is only the pointer that Git LFS leaves for a large file."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        try:
            begin = b""
            if file.is_file():
                with file.open("rb") as opened:
                    begin = opened.read(len(_LFS_POINTER))
        except OSError:
            continue  # who reads the file says so
        if begin == _LFS_POINTER:
            raise error(f"{file}: is a Git LFS pointer, the file itself was not downloaded; run: git lfs pull")


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path``, flush it to the disk and rename it into place.

    The old file stays whole until the new one is complete; on any error the unfinished one is removed, and an OSError
    names ``path``.
    """
    write_all_atomically({path: content})


def write_all_atomically(contents: Mapping[Path, bytes]) -> None:
    """Write several files, and rename none before all are complete: if the disk is full, all old files stay."""
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
    """Write a new file that only its owner can read; FileExistsError if anything, even a link, is already there."""
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


def expect_folder(folder: Path, *, error: type[UserError], option: str) -> None:
    """Raise ``error`` where ``folder``, or a folder that is to hold it, is a file."""
    for place in (folder, *folder.parents):
        if place.is_dir():
            return
        if place.exists():
            raise error(f"{place}: is a file, expected a folder; move it or choose another {option}")


@contextmanager
def alone(folder: Path, what: str, *, error: type[UserError], option: str) -> Iterator[None]:
    """Hold the lock of ``folder``, which is created if missing; it is released when the process ends or is killed."""
    from filelock import FileLock, Timeout

    result = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise error(f"{folder}: is a file, expected a folder; move it or choose another {option}") from None
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise error(f"{folder}: {what} is running; wait for it and run again") from None
    try:
        yield
    except BaseException:
        if result and [place.name for place in folder.iterdir()] == [".lock"]:
            (folder / ".lock").unlink(missing_ok=True)
            with suppress(OSError):  # somebody else put a file there
                for place in result:
                    place.rmdir()
        raise
    finally:
        lock.release()


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
