"""Files with their sums, and compressed where that pays: worked out once, until the file changes."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeAlias

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
KEPT, HELD = 1000, 200_000_000  # files whose sums are remembered, and bytes of texts


_Stamp: TypeAlias = tuple[int, int]  # size and time of change, in nanoseconds


@dataclass(frozen=True)
class Content:
    """``tag``: the strong ETag, the file's SHA-256. ``body``: the bytes of a text, which may be replaced at any time,
    and ``packed`` their gzip, where it is smaller; of other files None, and of texts beyond MOST.
    """

    path: Path
    length: int
    kind: str
    tag: str
    body: bytes | None
    packed: bytes | None


class Contents:
    """What is known of each file, until its size or its time of change is another."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[_Stamp, Content]] = {}
        self._writing = Lock()  # several threads work contents out

    def known(self, path: Path) -> Content | None:
        """What was worked out before; in no time, so that it can be asked for without a thread."""
        stamp, content = self._known.get(path, (None, None))
        return content if stamp == _stamp(path) else None

    def of(self, path: Path) -> Content:
        """All of a file is read for it."""
        stamp = _stamp(path)
        content = _content(path, stamp[0])
        with self._writing:
            if len(self._known) >= KEPT or sum(_held(one) for _, one in self._known.values()) + _held(content) > HELD:
                self._known = {}
            self._known[path] = stamp, content
        return content


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _held(content: Content) -> int:
    return len(content.body or b"") + len(content.packed or b"")


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
