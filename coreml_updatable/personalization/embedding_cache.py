"""Embeddings that a model gave the files of a folder, kept in the user's own cache directory for the next comparison.

One file a model and way of reading, private and bounded (``runtime/engine/engine_cache``). What a file gave is found by
its bytes, so it may be moved, and a changed one is read again.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coreml_updatable.data.inputs import Float32Array, UInt8Array
from coreml_updatable.runtime.engine import engine_cache

KIND = "embeddings"
DIGEST = 16
PIECE = 1 << 20


@dataclass(frozen=True)
class OfFile:
    """The rows of one file: ``suffixes`` of their names, ``digests`` of what the model reads, ``small`` copies
    [n, side, side, 3] or none, ``vectors`` [V, n, D], a look each."""

    suffixes: tuple[str, ...]
    digests: tuple[bytes, ...]
    small: UInt8Array
    vectors: Float32Array


def file_key(path: Path, number: int | None) -> bytes:
    """A name for the content of a file; ``number``: its first row's, where a look depends on that."""
    hasher = hashlib.blake2b(digest_size=DIGEST)
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            hasher.update(piece)
    hasher.update(f"{path.suffix.lower()} {'' if number is None else number}".encode())
    return hasher.digest()


def kept(key: str) -> dict[bytes, OfFile]:
    """What earlier runs kept under ``key``, by ``file_key``; nothing where it is damaged."""
    content = engine_cache.read(key, KIND)
    if content is None:
        return {}
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            keys, ends, suffixes = file["keys"], file["ends"], file["suffixes"].tolist()
            digests, small, vectors = file["digests"], file["small"], file["vectors"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
    result, start = {}, 0
    for index, end in enumerate(ends.tolist()):
        part = slice(start, end)
        result[keys[index].tobytes()] = OfFile(
            tuple(suffixes[part]),
            tuple(digest.tobytes() for digest in digests[part]),
            small[part] if len(small) else small,
            vectors[:, part],
        )
        start = end
    return result


def keep(key: str, result: Mapping[bytes, OfFile]) -> None:
    """Keep it for later runs; older models' make room, and what is too large is not kept."""
    if not result:
        return
    files = list(result.values())
    buffer = io.BytesIO()
    np.savez(
        buffer,
        allow_pickle=False,
        keys=_bytes(list(result)),
        ends=np.cumsum([len(file.suffixes) for file in files]),
        suffixes=np.array([suffix for file in files for suffix in file.suffixes], np.str_),
        digests=_bytes([digest for file in files for digest in file.digests]),
        small=np.concatenate([file.small for file in files]),
        vectors=np.concatenate([file.vectors for file in files], axis=1),
    )
    engine_cache.write(key, buffer.getvalue(), KIND)


def _bytes(digests: list[bytes]) -> UInt8Array:
    return np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), DIGEST)
