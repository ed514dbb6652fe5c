"""A folder of pictures in one number, so that a build knows when it changed."""

import hashlib
from collections.abc import Collection
from pathlib import Path

from coreml_updatable.building.data.listing import files_below, stays_inside


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
