"""Prepared engines in the user's cache directory: private, limited in size; the least recently used are removed first.

Other results that take long to compute can have their own directory beside them (``kind``).

Nothing is ever read from the folder of a model. A file contains a digest followed by its content; a damaged file is
treated as missing and is written again.
"""

import hashlib
import os
import platform
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

from coreml_updatable.files import write_atomically

MAX_BYTES = 2**30  # of all files together
MAX_SHARE = 4  # one file has at most so large a part of it
DIGEST = 32
SUFFIX = ".engine"
LIBRARIES = ("torch", "onnx", "onnxruntime")


ENGINES = "engines"


def folder(kind: str = ENGINES) -> Path | None:
    """Return the directory, created if missing; None if that fails, or if others may read or write it."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        named = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
    place = base / "coreml_updatable" / kind
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = place.lstat()
    except (OSError, RuntimeError):
        return None
    if not stat.S_ISDIR(status.st_mode):
        return None
    if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077):
        return None
    return place


def key_of(pieces: Iterable[bytes | str]) -> str:
    """Return a key for the result of ``pieces`` with this code, these libraries and this kind of processor."""
    hasher = hashlib.blake2b(digest_size=DIGEST)
    for piece in (*pieces, _made_by()):
        content = piece.encode() if isinstance(piece, str) else piece
        hasher.update(len(content).to_bytes(8, "little"))
        hasher.update(content)
    return hasher.hexdigest()


def read(key: str, kind: str = ENGINES) -> bytes | None:
    """Return the content stored under ``key``; None if there is none, or it is damaged."""
    place = folder(kind)
    if place is None:
        return None
    path = place / f"{key}{SUFFIX}"
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, held = content[:DIGEST], content[DIGEST:]
    if hashlib.blake2b(held, digest_size=DIGEST).digest() != digest:
        with suppress(OSError):
            path.unlink()
        return None
    with suppress(OSError):
        os.utime(path)
    return held


def has(key: str) -> bool:
    place = folder()
    return place is not None and (place / f"{key}{SUFFIX}").is_file()


def forget(key: str) -> None:
    """Remove the content stored under ``key``, because it does not run."""
    place = folder()
    if place is not None:
        with suppress(OSError):
            (place / f"{key}{SUFFIX}").unlink()


def write(key: str, content: bytes, kind: str = ENGINES) -> None:
    """Store ``content``, unless it is too large or there is no space; older files are removed to make room."""
    place = folder(kind)
    if place is None or len(content) > MAX_BYTES // MAX_SHARE:
        return
    with suppress(OSError):
        _make_room(place, len(content) + DIGEST)
        digest = hashlib.blake2b(content, digest_size=DIGEST).digest()
        write_atomically(place / f"{key}{SUFFIX}", digest + content)


def _make_room(place: Path, size: int) -> None:
    files = []
    for path in place.iterdir():
        with suppress(OSError):  # another process may have removed it
            status = path.stat()
            files.append((status.st_mtime_ns, status.st_size, path))
    total = sum(file[1] for file in files) + size
    for _, held, path in sorted(files):
        if total <= MAX_BYTES:
            return
        with suppress(OSError):
            path.unlink()
        total -= held


@cache
def _made_by() -> bytes:
    """Return versions, the code that writes graphs, and the processor: an optimized graph fits only its kind."""
    hasher = hashlib.blake2b(digest_size=DIGEST)
    runtime = Path(__file__).parents[1]
    for path in sorted(runtime.rglob("*.py")):
        hasher.update(path.read_bytes())
    versions = [f"{name} {version(name)}" for name in LIBRARIES]
    hasher.update("\n".join([*versions, platform.machine(), platform.processor(), _processor()]).encode())
    return hasher.digest()


def _processor() -> str:
    """Return the model and features of the first processor, if Linux lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").partition("\n\n")[0].splitlines()
    except OSError:
        return ""
    return "\n".join(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part")))
