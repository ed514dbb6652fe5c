"""Public datasets in their own files: MNIST's idx files, Quick, Draw! strokes and Food-101.

idx: two zero bytes, the type (0x08: unsigned bytes), the number of dimensions, each length as a big-endian 32-bit
integer, then the bytes, the last index changing fastest.

A stroke is [xs, ys] (simplified) or [xs, ys, times] (raw). The drawing is fitted into the picture, white on black.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from coreml_updatable.data.folders import DataFile, Listing, check_classes, class_folders, some_of
from coreml_updatable.data.inputs import UInt8Array
from coreml_updatable.data.sample_code import called
from coreml_updatable.data.wanted import Wanted
from coreml_updatable.errors import DataError

IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
PARTS = (("train", False), ("t10k", True))  # how a file's name begins, and whether it holds the test pictures
MAXIMUM_BYTES = 200_000_000  # unpacked; MNIST has 47 million


def find_idx(folder: Path) -> bool:
    """Return whether ``folder`` contains a picture file with one of MNIST's names."""
    return any(_file(folder, f"{part}-{IMAGES}") is not None for part, _ in PARTS)


def read_idx(folder: Path, most: int | None = None) -> Iterator[tuple[str, str, Image.Image, bool]]:
    """(digit, name, picture, whether it is for testing) of each picture, at most ``most`` of each digit and part."""
    for part, test in PARTS:
        path = _file(folder, f"{part}-{IMAGES}")
        if path is None:
            continue
        beside = _file(folder, f"{part}-{LABELS}")
        if beside is None:
            raise DataError(f"{path}: has no {part}-{LABELS} (or .gz) with its labels in the same folder; add them")
        pictures, labels = read_array(path, 3), read_array(beside, 1)
        if len(pictures) != len(labels):
            raise DataError(
                f"{beside}: has {len(labels)} labels for {len(pictures)} pictures, expected equal numbers; download "
                "both again"
            )
        counts: dict[int, int] = {}
        for index, (pixels, digit) in enumerate(zip(pictures, labels.tolist(), strict=True)):
            counts[digit] = counts.get(digit, 0) + 1
            if most is None or counts[digit] <= most:
                yield str(digit), f"{part} {index}", Image.fromarray(pixels), test


def read_array(path: Path, dimensions: int) -> UInt8Array:
    """The bytes in an idx file, uint8 of ``dimensions`` dimensions; a DataError for anything else."""
    content = _content(path)
    head = 4 + 4 * dimensions
    if len(content) < head or content[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(
            f"{path}: begins with {content[:4].hex()}, expected 00000{800 + dimensions} (idx, bytes, {dimensions} "
            "dimensions); download it again"
        )
    shape = tuple(int.from_bytes(content[index : index + 4], "big") for index in range(4, head, 4))
    if prod(shape) != len(content) - head or 0 in shape:
        raise DataError(
            f"{path}: has {len(content) - head:,} bytes for the shape {list(shape)}, expected {prod(shape):,} and no "
            "empty dimension; download it again"
        )
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())}); download it again") from error
    if len(content) > MAXIMUM_BYTES:
        raise DataError(f"{path}: has more than {MAXIMUM_BYTES:,} bytes, more than MNIST's files; check the path")
    return content


def _file(folder: Path, name: str) -> Path | None:
    """Also as some unpackers call it, with a dot before ``idx``."""
    for form in (name, name.replace("-idx", ".idx")):
        for path in (folder / form, folder / f"{form}.gz"):
            if path.is_file():
                return path
    return None


ENDING = ".ndjson"
SIDE, MARGIN = 112, 12  # pixels, before it is made as small as the recipe wants
WIDTH = 7  # of a stroke: at 28 pixels a little less than two
MOST_LINE = 1_000_000  # bytes; raw drawings have some ten thousand
MOST_POINTS = 100_000  # of one drawing
MOST_DRAWINGS = 1000  # of one file, unless the recipe says how many


def find_quickdraw(folder: Path) -> list[Path]:
    """The files of strokes in ``folder``, sorted."""
    return sorted(path for path in folder.glob(f"*{ENDING}") if path.is_file() and not path.name.startswith("."))


def read_quickdraw(path: Path, most: int | None = None) -> Iterator[tuple[str, str, Image.Image]]:
    """(kind: the file's own name, name, drawing) of the first lines; a DataError names the line that is none."""
    kind = path.name.removesuffix(ENDING).removeprefix("full_simplified_").removeprefix("full_raw_")
    for index, line in enumerate(islice(_lines(path), most or MOST_DRAWINGS), start=1):
        where = f"{path}: line {index}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{where}: is not valid JSON, expected an object with a drawing; download it again"
            ) from error
        strokes = value.get("drawing") if isinstance(value, dict) else None
        yield kind, f"{path.stem} {index}", drawn(points(strokes, where))


def drawn(strokes: list[list[tuple[float, float]]]) -> Image.Image:
    """Strokes as white lines on black, the whole in the middle and as large as fits."""
    xs, ys = zip(*(point for stroke in strokes for point in stroke), strict=True)
    extent = max(max(xs) - min(xs), max(ys) - min(ys)) or 1.0
    scale = (SIDE - 2 * MARGIN) / extent
    left, top = (SIDE - scale * (max(axis) + min(axis)) for axis in (xs, ys))
    picture = Image.new("L", (SIDE, SIDE))
    pen = ImageDraw.Draw(picture)
    for stroke in strokes:
        line = [(left / 2 + scale * x, top / 2 + scale * y) for x, y in stroke]
        pen.line(line, fill=255, width=WIDTH, joint="curve")
        for x, y in (line[0], line[-1]):
            pen.ellipse((x - WIDTH / 2, y - WIDTH / 2, x + WIDTH / 2, y + WIDTH / 2), fill=255)
    return picture


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while line := file.readline(MOST_LINE + 1):
                if len(line) > MOST_LINE:
                    raise DataError(f"{path}: a line is longer than {MOST_LINE:,} bytes, expected one drawing per line")
                if line.strip():
                    yield line
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def points(strokes: Any, where: str) -> list[list[tuple[float, float]]]:
    """Strokes of at least one point each, of finite numbers; a DataError for anything else."""
    if not isinstance(strokes, list) or not strokes or not all(map(_is_stroke, strokes)):
        raise DataError(f"{where}: has no strokes [[x, ...], [y, ...]] in drawing; download it again")
    if sum(len(stroke[0]) for stroke in strokes) > MOST_POINTS:
        raise DataError(f"{where}: has more than {MOST_POINTS:,} points, expected one drawing; download it again")
    return [[(float(x), float(y)) for x, y in zip(stroke[0], stroke[1], strict=True)] for stroke in strokes]


def _is_stroke(stroke: Any) -> bool:
    if not isinstance(stroke, list) or len(stroke) not in (2, 3) or not all(isinstance(axis, list) for axis in stroke):
        return False
    xs, ys = stroke[:2]
    return bool(xs) and len(xs) == len(ys) and all(map(_is_place, (*xs, *ys)))


def _is_place(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6


Found = tuple[str, str, Image.Image, bool | None]  # kind, name, picture, whether its collection keeps it for testing
Adapt = Callable[[str, int, Image.Image], Any]


def find_collection(folder: Path) -> str | None:
    """Return in words which public dataset ``folder`` contains; None if it contains none."""
    if find_idx(folder):
        return "pictures of MNIST (with its own test set)"
    return "drawings from Quick, Draw!" if find_quickdraw(folder) else None


def read_collection(folder: Path, most: int | None, adapt: Adapt | None) -> list[Found]:
    """Every picture, ``adapt``ed by the sample: (kind, number within its kind, picture) -> (kind, picture)."""
    if find_idx(folder):
        result: list[Found] = list(read_idx(folder, most))
    else:
        result = [(*item, None) for path in find_quickdraw(folder) for item in read_quickdraw(path, most)]
    if adapt is None:
        return result
    counts: dict[str, int] = {}
    adapted: list[Found] = []
    for kind, name, picture, test in result:
        counts[kind] = counts.get(kind, 0) + 1
        what = f"data.adapt: adapting {name} of {kind!r}"
        match called(what, adapt, kind, counts[kind], picture):
            case (str(new_kind), Image.Image() as changed):
                adapted.append((new_kind, name, changed, test))
            case other:
                raise DataError(f"{what} returned {other!r:.60}, expected (kind, PIL image); correct it")
    return adapted


ENTRY = re.compile(r"[A-Za-z0-9_-]{1,100}/[A-Za-z0-9_-]{1,100}")
MAXIMUM_LIST_BYTES = 50_000_000


def find_food101(folder: Path) -> Path | None:
    """``folder`` or the ``food-101`` in it, if that looks like Food-101."""
    for place in (folder, folder / "food-101"):
        if (place / "images").is_dir() and {path.name for path in class_folders(place)} <= {"images", "meta"}:
            return place
    return None


def list_food101(folder: Path, wanted: Wanted) -> Listing:
    """The pictures of the classes that ``wanted`` names, at most ``maximum_per_kind`` of each and split."""
    photos: list[DataFile] = []
    skipped: list[str] = []
    for split in ("train", "test"):
        listed: list[DataFile] = []
        for entry in _entries(folder / "meta", split):
            kind = entry.split("/")[0]
            if kind not in wanted.kinds and all(kind != owner.kind for owner in wanted.owners):
                continue
            listed.append(DataFile(kind, folder / "images" / f"{entry}.jpg", f"{entry}.jpg", split == "test"))
        share = wanted.test_share if split == "test" else 1 - wanted.test_share
        most = None if wanted.maximum_per_kind is None else max(1, round(wanted.maximum_per_kind * share))
        for photo in some_of(listed, most):
            if photo.path.is_file() and not photo.path.is_symlink():
                photos.append(photo)
            else:
                skipped.append(f"{photo.name}: is named in meta/{split} but missing")
    check_classes({photo.kind for photo in photos}, folder, wanted)
    return Listing(tuple(photos), tuple(skipped))


def _entries(meta: Path, split: str) -> list[str]:
    """The ``class/number`` entries of a split, sorted."""
    lines, plain = meta / f"{split}.txt", meta / f"{split}.json"
    path = lines if lines.is_file() else plain
    if not path.is_file():
        raise DataError(f"{meta}: contains neither {split}.txt nor {split}.json; extract Food-101 completely")
    if path.stat().st_size > MAXIMUM_LIST_BYTES:
        raise DataError(f"{path}: is larger than {MAXIMUM_LIST_BYTES:,} bytes; extract Food-101 again")
    try:
        text = path.read_text(encoding="utf-8")
        entries = text.split() if path is lines else [entry for group in json.loads(text).values() for entry in group]
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: is not a list of pictures; extract Food-101 again") from error
    for entry in entries:
        if not isinstance(entry, str) or not ENTRY.fullmatch(entry):
            raise DataError(
                f"{path}: contains {str(entry)[:60]!r}, expected lines such as pancakes/1001; extract it again"
            )
    return sorted(set(entries))
