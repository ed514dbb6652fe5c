"""Files with their sums, and compressed where that pays: worked out once, until the file changes."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
OTHER = "application/octet-stream"
COMPRESSED = frozenset({".html", ".json", ".txt"})
LEAST, MOST = 1_000, 20_000_000  # bytes of a file that is worth compressing, and is kept compressed in memory
CHUNK = 1 << 20
KEPT = 1000  # files whose sums are remembered


@dataclass(frozen=True)
class Content:
    """``tag``: the strong ETag, the file's SHA-256. ``body``: the bytes of a text, which may be replaced at any time,
    and ``packed`` their gzip, where it is smaller; of other files None, for they never change.
    """

    path: Path
    length: int
    kind: str
    tag: str
    body: bytes | None
    packed: bytes | None


class Contents:
    """What is known of each file, by its path, size and time of change."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int], Content] = {}

    def known(self, path: Path) -> Content | None:
        """What was worked out before; in no time, so that it can be asked for without a thread."""
        return self._known.get(_key(path))

    def of(self, path: Path) -> Content:
        """All of a file is read for it."""
        key = _key(path)
        content = _content(path, key[1])
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[key] = content
        return content


def _key(path: Path) -> tuple[Path, int, int]:
    status = path.stat()
    return path, status.st_size, status.st_mtime_ns


def _content(path: Path, length: int) -> Content:
    kind = TYPES.get(path.suffix, OTHER)
    if path.suffix in COMPRESSED and length <= MOST:
        body = path.read_bytes()
        packed = gzip.compress(body, mtime=0) if len(body) >= LEAST else body
        worth = packed if len(packed) < 0.9 * len(body) else None
        return Content(path, len(body), kind, hashlib.sha256(body).hexdigest(), body, worth)
    total = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            total.update(piece)
    return Content(path, length, kind, total.hexdigest(), None, None)
