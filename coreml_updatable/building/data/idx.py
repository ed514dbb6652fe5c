"""MNIST's own files: ``train-images-idx3-ubyte`` and its like, plain or ``.gz`` (LeCun, Cortes and Burges).

idx: two zero bytes, the type (0x08: unsigned bytes), the number of dimensions, each length as a big-endian 32-bit
integer, then the bytes, the last index changing fastest.
"""

import gzip
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
from PIL import Image

from coreml_updatable.conversion import UInt8Array
from coreml_updatable.errors import DataError

IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
PARTS = (("train", False), ("t10k", True))  # how a file's name begins, and whether it holds the test pictures
MAXIMUM_BYTES = 200_000_000  # unpacked; MNIST has 47 million


def find_idx(folder: Path) -> bool:
    """Whether ``folder`` holds a file of pictures as MNIST calls them."""
    return any(_file(folder, f"{part}-{IMAGES}") is not None for part, _ in PARTS)


def read_idx(folder: Path, most: int | None = None) -> Iterator[tuple[str, str, Image.Image, bool]]:
    """(digit, name, picture, whether it is for testing) of each picture, at most ``most`` of each digit and part."""
    for part, test in PARTS:
        path = _file(folder, f"{part}-{IMAGES}")
        if path is None:
            continue
        beside = _file(folder, f"{part}-{LABELS}")
        if beside is None:
            raise DataError(f"{path}: has no {part}-{LABELS} (or .gz) beside it, which says what it shows; add it")
        pictures, labels = read_array(path, 3), read_array(beside, 1)
        if len(pictures) != len(labels):
            raise DataError(
                f"{beside}: holds {len(labels)} labels for {len(pictures)} pictures, expected one each; "
                "download both again"
            )
        counts: dict[int, int] = {}
        for number, (pixels, digit) in enumerate(zip(pictures, labels.tolist(), strict=True)):
            counts[digit] = counts.get(digit, 0) + 1
            if most is None or counts[digit] <= most:
                yield str(digit), f"{part} {number}", Image.fromarray(pixels), test


def read_array(path: Path, dimensions: int) -> UInt8Array:
    """The bytes in an idx file, uint8 of ``dimensions`` dimensions; a DataError for anything else."""
    content = _content(path)
    head = 4 + 4 * dimensions
    if len(content) < head or content[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(
            f"{path}: begins with {content[:4].hex()}, expected 00000{800 + dimensions} (idx, bytes, {dimensions} "
            "dimensions); download it again"
        )
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, head, 4))
    if prod(shape) != len(content) - head or 0 in shape:
        raise DataError(
            f"{path}: holds {len(content) - head:,} bytes for the shape {list(shape)}, expected {prod(shape):,} and no "
            "empty dimension; download it again"
        )
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: can not be read ({' '.join(str(error).split())}); download it again") from error
    if len(content) > MAXIMUM_BYTES:
        raise DataError(f"{path}: holds more than {MAXIMUM_BYTES:,} bytes, MNIST's files have fewer; check the path")
    return content


def _file(folder: Path, name: str) -> Path | None:
    """Also as some unpackers call it, with a dot before ``idx``."""
    for form in (name, name.replace("-idx", ".idx")):
        for path in (folder / form, folder / f"{form}.gz"):
            if path.is_file():
                return path
    return None
