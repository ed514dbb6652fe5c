"""Files that Turi Create 6.4.1 wrote for nearest-neighbours classifiers, and files that it never wrote."""

import json
import shutil
import struct
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import lz4.block
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.registry import find_converter, load_source_converter
from coreml_updatable.errors import SourceError
from tests.converters.turi_folders import saved_folder

FILES = Path(__file__).parent / "turi_reference"
reference_values = import_module("coreml_updatable.converters.turicreate.neighbors").reference_values
decompressed = import_module("coreml_updatable.converters.turicreate.neighbors").decompressed
MOST_TIMES = import_module("coreml_updatable.converters.turicreate.neighbors").MOST_TIMES
PUT_IN = {
    "packed": [[float((i * j + i * i) % 11) for j in range(8)] for i in range(60)],
    "plain": [[((i + 1) * 0.37 * (j + 2)) % 1 for j in range(3)] for i in range(7)],
}


@pytest.mark.parametrize("name", PUT_IN)
def test_the_rows_that_were_put_in_come_out(name: str) -> None:
    rows = np.array(PUT_IN[name])
    result = reference_values(FILES / name).reshape(rows.shape)
    assert sorted(result.tolist()) == sorted(rows.tolist())  # a ball tree has its own order


def written(folder: Path, blocks: list[list[list[float]]]) -> Path:
    """A saved nearest-neighbours classifier, as far as it is read, with these parts of blocks, none compressed."""
    saved_folder(folder, "nearest_neighbor_classifier")
    content, entries = b"", []
    for parts in blocks:
        words = [struct.pack("<Q", len(part)) + np.array(part).tobytes() + bytes(8) for part in parts]
        block = struct.pack("<Q", len(parts)) + b"".join(words)
        entries.append(struct.pack("<6Q", len(content), len(block), len(block), len(parts), 0, 0))
        content += block + bytes(40)  # the next block begins where a page does
    footer = struct.pack("<2Q", 1, len(blocks)) + b"".join(entries)
    (folder / "m.0000").write_bytes(content + footer + struct.pack("<Q", len(footer)))
    (folder / "m.sidx").write_text(json.dumps({"segment_files": {"0000": "m.0000"}}))
    return folder


def test_several_blocks_that_are_not_compressed(tmp_path: Path) -> None:
    folder = written(tmp_path / "saved.model", [[[1.0, 2.0], [3.0]], [[4.0, -5.0]]])
    assert reference_values(folder).tolist() == [1.0, 2.0, 3.0, 4.0, -5.0]


def test_missing_values_are_named_before_turi_create_is_asked(tmp_path: Path) -> None:
    folder = written(tmp_path / "saved.model", [[[1.0, float("nan")]]])
    convert = load_source_converter(find_converter("turicreate"))
    with pytest.raises(
        SourceError, match=r"saved.model: its rows have missing values; fill them, train it again and s"
    ):
        convert(SourceRequest(folder))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FILES / "packed", tmp_path / "saved.model"))


def segment(folder: Path) -> Path:
    return next(folder.glob("*.0000"))


def with_word(place: int, value: int) -> Callable[[Path], None]:
    """The footer begins at -72, its first block at -56."""

    def write(folder: Path) -> None:
        content = bytearray(segment(folder).read_bytes())
        struct.pack_into("<Q", content, len(content) + place, value)
        segment(folder).write_bytes(bytes(content))

    return write


def with_index(content: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        next(folder.glob("*.sidx")).write_text(content)

    return write


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (with_word(-8, 2**62), "the footer has the wrong length"),
        (with_word(-8, 0), "unpack_from requires a buffer"),
        (with_word(-72, 2), "the footer has the wrong length"),
        (with_word(-64, 2**40), "the footer has the wrong length"),
        (with_word(-56, 2**40), "block 0 has the wrong type"),
        (with_word(-48, 2**40), "block 0 has the wrong type"),
        (with_word(-40, 2**62), "block 0 has the wrong type"),
        (with_word(-40, 3872), "a block unpacks to the wrong length"),
        (with_word(-32, 2), "a block has the wrong number of parts"),
        (with_word(-24, 2), "block 0 has the wrong type"),
        (with_word(-24, 0), "block 0 has the wrong type"),
        (lambda folder: segment(folder).unlink(), "FileNotFoundError"),
        (lambda folder: segment(folder).write_bytes(b""), "unpack_from requires a buffer"),
        (lambda folder: next(folder.glob("*.sidx")).unlink(), "not enough values to unpack"),
        (with_index("{}"), "KeyError: 'segment_files'"),
        (with_index("["), "JSONDecodeError"),
        (with_index(json.dumps({"segment_files": {"0": "../x"}})), "../x is outside the folder"),
        (with_index(json.dumps({"segment_files": {}})), "need at least one array to concatenate"),
    ],
)
def test_a_damaged_file_is_one_sentence(copy: Path, damage: Callable[[Path], None], reason: str) -> None:
    damage(copy)
    with pytest.raises(SourceError) as raised:
        reference_values(copy)
    assert f"{copy}: its reference data cannot be read (" in str(raised.value)
    assert reason in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_columns_of_text_lie_in_files_of_their_own(copy: Path) -> None:
    (copy / "m_2.sidx").touch()
    with pytest.raises(SourceError, match=r"saved.model: stores text or dictionaries, expected numbers and arrays"):
        reference_values(copy)


@given(st.binary(max_size=300), st.integers(0, 2**16))
def test_bytes_that_are_no_lz4_block_end_in_a_value_error(content: bytes, size: int) -> None:
    try:
        assert len(decompressed(content, size)) == size
    except ValueError:
        return


def test_the_largest_ratio_of_a_block_is_within_the_bound() -> None:
    packed = lz4.block.compress(bytes(10**6), store_size=False)
    assert decompressed(packed, 10**6) == bytes(10**6)
    assert MOST_TIMES * len(packed) >= 10**6
