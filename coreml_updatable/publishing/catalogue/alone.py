"""One publisher of a catalogue at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from coreml_updatable.errors import CatalogueError


@contextmanager
def publishing_alone(site: Path) -> Iterator[None]:
    """Hold the lock of ``site``; a second publisher is told at once. The lock falls with its process, killed or not."""
    try:
        site.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise CatalogueError(f"{site}: a file is in the way, expected a folder; choose another --to") from None
    lock = FileLock(site / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise CatalogueError(f"{site}: another publisher is at work; wait for it and run again") from None
    try:
        yield
    finally:
        lock.release()
