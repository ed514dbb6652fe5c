"""Files of rows that are small and hold much: read in bounded memory, or refused in one sentence."""

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coreml_updatable.data.pictures import flattened
from coreml_updatable.data.rows.features import features_of
from coreml_updatable.data.rows.tables import csv_rows, json_rows
from coreml_updatable.errors import DataError
from coreml_updatable.spec.messages import Model, Model_pb2

LIMIT = 900 * 2**20  # of the whole process
PROGRAM = """
import sys
from pathlib import Path
from coreml_updatable.data.rows.features import features_of
from coreml_updatable.data.rows.reading import rows_of
from coreml_updatable.errors import UserError
from tests.cli.test_bounded_reading import model
from tests.memory import most_memory
try:
    features = features_of(model(sys.argv[2]), sys.argv[3] or None)
    print(sum(1 for _ in rows_of(Path(sys.argv[1]), features)))
except UserError as error:
    print(type(error).__name__, str(error)[:500])
print(most_memory())
"""


def model(kind: str) -> Model:
    """One input ``x``: a picture of 32 x 32, or an array of any length."""
    result = Model_pb2.Model(specificationVersion=4)
    feature = result.description.input.add(name="x").type
    if kind == "picture":
        feature.imageType.width = feature.imageType.height = 32
        feature.imageType.colorSpace = 20
    else:
        feature.multiArrayType.dataType = 65568
        feature.multiArrayType.shapeRange.sizeRanges.add(lowerBound=1, upperBound=-1)
        feature.multiArrayType.shape.append(1)
    return result


def read(path: Path, kind: str, fit: str = "") -> tuple[str, int]:
    """What a process of its own says of the file, and the most memory that it held."""
    command = [sys.executable, "-c", PROGRAM, str(path), kind, fit]
    root = Path(__file__).parents[2]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    *said, memory = ran.stdout.splitlines()
    return said[-1], int(memory)


def png(path: Path, side: int, depth: int, color: int) -> None:
    """Zeros, written row by row; about a thousandth of what they take in memory."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[color]
    pack, parts = zlib.compressobj(9), list[bytes]()
    row = b"\0" * (1 + side * channels * depth // 8)
    parts = [pack.compress(row) for _ in range(side)]
    head = struct.pack(">IIBBBBB", side, side, depth, color, 0, 0, 0)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, content in ((b"IHDR", head), (b"IDAT", b"".join(parts) + pack.flush()), (b"IEND", b"")):
            file.write(struct.pack(">I", len(content)) + name + content)
            file.write(struct.pack(">I", zlib.crc32(name + content)))


@pytest.mark.parametrize(
    ("depth", "color", "fit"),
    [
        *((16, 6, fit) for fit in ("centerCrop", "scaleFit", "scaleFill")),  # the most bytes a pixel
        *((depth, color, "scaleFill") for depth, color in ((16, 0), (16, 4), (8, 6), (8, 2), (16, 2))),
    ],
)
def test_pictures(tmp_path: Path, depth: int, color: int, fit: str) -> None:
    path = tmp_path / "x.png"
    png(path, 8000, depth, color)
    said, memory = read(path, "picture", fit)
    assert said == "1"
    assert memory < LIMIT


@pytest.mark.parametrize(("depth", "color"), [(16, 0), (8, 6), (8, 2)])
def test_pictures_that_are_too_large(tmp_path: Path, depth: int, color: int) -> None:
    path = tmp_path / "x.png"
    png(path, 10900, depth, color)
    said, memory = read(path, "picture")
    assert said == "1" or "million pixels" in said
    assert memory < LIMIT


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_says_its_size_before_its_decoder_runs(tmp_path: Path, lossless: bool) -> None:
    path = tmp_path / "x.webp"
    Image.new("RGB", (9000, 9000)).save(path, lossless=lossless, quality=1, method=0)
    said, memory = read(path, "picture")
    assert "9,000 x 9,000 pixels" in said
    assert memory < 2**28


def test_strips_change_nothing() -> None:
    """A picture that is flattened in strips is what Pillow makes of it as a whole."""
    pixels = np.random.default_rng(0).integers(0, 256, (1500, 1300, 4), np.uint8)
    picture = Image.fromarray(pixels, "RGBA")
    white = Image.new("RGBA", picture.size, "white")
    expected = np.asarray(Image.alpha_composite(white, picture).convert("RGB"))
    assert np.array_equal(np.asarray(flattened(picture, gray=False)), expected)


def rows_json(path: Path) -> None:
    row = json.dumps({"x": [0.123456] * 1000})
    path.write_text("[" + ",\n".join([row] * 4500) + "]")


def one_long_row(path: Path) -> None:
    path.write_text('{"x": [' + "0.5," * 15_000_000 + "1]}")


def empty_lists(path: Path) -> None:
    path.write_text('[{"x": [' + "[]," * 15_000_000 + "[]]}]")


def wide_table(path: Path) -> None:
    path.write_text("x\n" + "1," * 60_000_000 + "1\n")


def many_names(path: Path) -> None:
    path.write_text("a," * 60_000_000 + "b\n1\n")


def long_table(path: Path) -> None:
    path.write_text("x\n" + '"[0.5, 0.25, 1]"\n' * 3_000_000)


def endless_line(path: Path) -> None:
    path.write_text('x\n"' + "1" * 120_000_000)


def sparse_array(path: Path) -> None:
    np.lib.format.open_memmap(path, "w+", np.float64, (1, 2**30))[0, 0] = 1


@pytest.mark.parametrize(
    ("write", "name", "said"),
    [
        (rows_json, "x.json", "4500"),
        (one_long_row, "x.json", "row of more than"),
        (empty_lists, "x.json", "row of more than"),
        (wide_table, "x.csv", "row of more than"),
        (many_names, "x.csv", "row of more than"),
        (endless_line, "x.csv", "row of more than"),
        (sparse_array, "x.npy", "memory"),
        pytest.param(long_table, "x.csv", "3000000", marks=pytest.mark.slow),
    ],
)
def test_tables(tmp_path: Path, write: Callable[[Path], None], name: str, said: str) -> None:
    path = tmp_path / name
    write(path)
    result, memory = read(path, "array")
    assert said in result
    assert memory < LIMIT


CASES: list[Any] = [
    [{"x": [1, 2]}, {"x": "é\n\"'[{"}, {"x": {"a": [None, True, 1.5e-7]}}],
    {"x": 1},
    [],
    [{"x": list(range(40_000))}] * 3,
    [{"x": "ü" * 70_000}] * 2,
]


@pytest.mark.parametrize("number", range(len(CASES)))
@pytest.mark.parametrize("indent", [None, 3])
def test_json_is_read_as_pythons_own_reader_does(tmp_path: Path, number: int, indent: int | None) -> None:
    path = tmp_path / "x.json"
    path.write_text("\ufeff \n" + json.dumps(CASES[number], indent=indent, ensure_ascii=False) + "\n ", "utf-8")
    expected = CASES[number] if isinstance(CASES[number], list) else [CASES[number]]
    actual = list(json_rows(path, features_of(model("array"))))
    assert [row for _, row in actual] == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[1",
        '[{"x": 1}',
        '[{"x": 1},',
        '[{"x": 1},]',
        '[{"x": 1} 2]',
        '{"x": 1} x',
        "[] []",
        '[{"x": 1}]]',
        "nope",
    ],
)
def test_what_is_not_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    with pytest.raises(DataError, match=r"x\.json"):
        list(json_rows(path, features_of(model("array"))))


def test_a_fault_far_behind_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[" + '{"x": [1]},\n' * 30_000 + '{"x": ?}]')
    with pytest.raises(DataError, match="line 30001: Expecting value"):
        list(json_rows(path, features_of(model("array"))))


def test_quoted_lines_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('\ufeffx\r\n"[1,\r\n 2]"\r\n\r\n"[3]"\r\n', "utf-8", newline="")
    result = list(csv_rows(path, features_of(model("array"))))
    assert [row for _, row in result] == [{"x": [1, 2]}, {"x": [3]}]
    assert [where for where, _ in result] == [f"{path}:3", f"{path}:5"]
