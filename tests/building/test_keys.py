"""Keys change with everything that could change a result, and with nothing else."""

import os
import shutil
from pathlib import Path

from coreml_updatable.building.cache import code_digest, files_digest, key_of, sample_code_digest

SAMPLE = Path(__file__).parents[2] / "sample_models" / "healthy_luncher"


def test_the_order_of_a_table_does_not_count() -> None:
    assert key_of({"a": 1, "b": (2, 3)}) == key_of({"b": [2, 3], "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})
    assert key_of("ab", "c") != key_of("a", "bc")


def test_names_and_bytes_count(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"x")
    two.write_bytes(b"y")
    before = files_digest(tmp_path, [one, two])
    assert files_digest(tmp_path, [two, one]) == before
    two.write_bytes(b"z")
    assert files_digest(tmp_path, [one, two]) != before
    two.write_bytes(b"y")
    assert files_digest(tmp_path, [one, two]) == before
    assert files_digest(tmp_path, [one, two.rename(tmp_path / "three")]) != before


def test_a_name_that_is_no_text_counts_too(tmp_path: Path) -> None:
    paths = [tmp_path / os.fsdecode(name) for name in (b"\xff.bin", b"\xfe.bin")]
    for path in paths:
        path.write_bytes(b"x")
    assert sample_code_digest(tmp_path) == files_digest(tmp_path, paths)
    assert files_digest(tmp_path, paths[:1]) != files_digest(tmp_path, paths[1:])


def test_where_a_sample_lies_does_not_count(tmp_path: Path) -> None:
    copied = shutil.copytree(SAMPLE, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("__pycache__"))
    assert sample_code_digest(copied) == sample_code_digest(SAMPLE)
    (copied / "model.py").write_text((copied / "model.py").read_text() + "\n# changed\n")
    assert sample_code_digest(copied) != sample_code_digest(SAMPLE)


def test_the_codes_digest_is_stable() -> None:
    assert code_digest() == code_digest()
    assert len(code_digest()) == 64
