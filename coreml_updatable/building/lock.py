"""One build of a model at a time: two would write the same files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from coreml_updatable.errors import BuildError


@contextmanager
def building_alone(target: Path) -> Iterator[None]:
    """Hold the lock of ``target``; a second build is told at once. The lock falls with its process, killed or not."""
    try:
        target.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise BuildError(
            f"{target}: a file is in the way, expected a folder; move it or choose another --out"
        ) from None
    lock = FileLock(target / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BuildError(f"{target}: another build of this model is running; wait for it and run again") from None
    try:
        yield
    finally:
        lock.release()
