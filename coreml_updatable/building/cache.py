"""What a stage made, kept for the next run: one .npz file a stage, found by its key, never unpickled."""

import io
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coreml_updatable.files import write_atomically

SECONDS = "seconds"
Arrays = Mapping[str, npt.NDArray[Any]]


def remembered(folder: Path, stage: str, key: str, make: Callable[[], Arrays]) -> Arrays:
    """The arrays that ``make`` returns, made only if no earlier run did under the same ``key``.

    ``folder`` keeps one result a stage: a new key replaces the old one. ``SECONDS`` is how long it took to make.
    """
    path = folder / f"{stage}.npz"
    kept = _read(path, key)
    if kept is not None:
        return kept
    started = time.perf_counter()
    made = {**make(), SECONDS: np.array(time.perf_counter() - started)}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, key=np.array(key), **made)
    write_atomically(path, buffer.getvalue())
    return made


def _read(path: Path, key: str) -> dict[str, npt.NDArray[Any]] | None:
    """The arrays kept in ``path``, or None where there are none under ``key`` (or the file is damaged)."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if str(archive["key"]) != key:
                return None
            return {name: archive[name] for name in archive.files if name != "key"}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError):
        return None
