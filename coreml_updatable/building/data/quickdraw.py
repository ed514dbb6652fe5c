"""Quick, Draw! strokes as drawings: ``cat.ndjson``, one JSON object a line, its ``drawing`` a list of strokes.

A stroke is [xs, ys] (simplified) or [xs, ys, times] (raw). The drawing is fitted into the picture, white on black.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from coreml_updatable.errors import DataError

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
    for number, line in enumerate(islice(_lines(path), most or MOST_DRAWINGS), start=1):
        where = f"{path}: line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: is no JSON, expected an object with a drawing; download it again") from error
        strokes = value.get("drawing") if isinstance(value, dict) else None
        yield kind, f"{path.stem} {number}", drawn(points(strokes, where))


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
                    raise DataError(f"{path}: a line is longer than {MOST_LINE:,} bytes, expected one drawing a line")
                if line.strip():
                    yield line
    except OSError as error:
        raise DataError(f"{path}: can not be read ({error.strerror}); check the path") from error


def points(strokes: Any, where: str) -> list[list[tuple[float, float]]]:
    """Strokes of at least one point each, of finite numbers; a DataError for anything else."""
    if not isinstance(strokes, list) or not strokes or not all(map(_is_stroke, strokes)):
        raise DataError(f"{where}: has no strokes [[x, ...], [y, ...]] in drawing, expected some; download it again")
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
