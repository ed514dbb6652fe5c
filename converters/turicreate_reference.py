"""The rows that a saved nearest-neighbours classifier remembers, read from Turi Create's own file.

The format was found by comparing files with what was put into them; ``turi_python38/neighbors.py`` proves every row.
An .sidx file names segments. A segment ends in the length of its footer, u64 as everything here, little-endian; the
footer holds the count of columns (1) and for it the count of its blocks, and of each block six numbers: where it lies,
its length there and in memory, how many parts it has, flags (1: it is compressed as an LZ4 block), and the kind of its
content. A block holds the count of its parts; a part the count of its doubles, these, and a 0.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from coreml_updatable.conversion import Float64Array
from coreml_updatable.errors import SourceError

COMPRESSED = 1
BLOCK = struct.Struct("<6Q")
WORD = 8
MOST_TIMES = 255  # as long as it is stored can an LZ4 block be in memory


def reference_values(folder: Path) -> Float64Array:
    """All numbers of all rows, one after the other; a SourceError where the folder does not hold them so."""
    if len(list(folder.glob("*.sidx"))) > 1:
        raise SourceError(f"{folder}: remembers text or dictionaries, expected numbers and arrays; train it on these")
    try:
        return np.concatenate([part for segment in _segments(folder) for part in _parts(segment)])
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error) as error:
        raise SourceError(
            f"{folder}: its reference data can not be read ({type(error).__name__}: {error}); "
            "train it on numbers and arrays in Turi Create 6.4.1, and save it anew"
        ) from error


def _segments(folder: Path) -> Iterator[bytes]:
    (index,) = folder.glob("*.sidx")
    for _, name in sorted(json.loads(index.read_text(encoding="utf-8"))["segment_files"].items()):
        if Path(name).name != name:
            raise ValueError(f"{name} leads out of the folder")
        yield (folder / name).read_bytes()


def _parts(segment: bytes) -> Iterator[Float64Array]:
    footer = segment[-WORD - int.from_bytes(segment[-WORD:], "little") : -WORD]
    columns, blocks = struct.unpack_from("<2Q", footer)
    if columns != 1 or len(footer) != 2 * WORD + blocks * BLOCK.size:
        raise ValueError("the footer has another length")
    for number in range(blocks):
        start, stored, size, parts, flags, _ = BLOCK.unpack_from(footer, 2 * WORD + number * BLOCK.size)
        content = segment[start : start + stored]
        longest = MOST_TIMES * stored if flags == COMPRESSED else stored
        if len(content) != stored or flags > COMPRESSED or not stored <= size <= longest:
            raise ValueError(f"block {number} is of another kind")
        yield from _doubles(decompressed(content, size) if flags else content, parts)


def decompressed(content: bytes, size: int) -> bytes:
    """Return an LZ4 block unpacked to exactly ``size`` bytes; a ValueError for anything else."""
    from lz4.block import LZ4BlockError, decompress

    try:
        unpacked: bytes = decompress(content, uncompressed_size=size)
    except LZ4BlockError as error:
        raise ValueError(f"is not an LZ4 block ({error})") from None
    if len(unpacked) != size:
        raise ValueError("a block unpacks to another length")
    return unpacked


def _doubles(content: bytes, parts: int) -> Iterator[Float64Array]:
    if int.from_bytes(content[:WORD], "little") != parts:
        raise ValueError("a block has another count of parts")
    place = WORD
    for _ in range(parts):
        count = int.from_bytes(content[place : place + WORD], "little")
        yield np.frombuffer(content, "<f8", count, place + WORD)
        place += (count + 2) * WORD
    if place != len(content):
        raise ValueError("a block has another length")
