"""An earlier result stands only while its key and every file of it are as they were."""

import hashlib
import json
from pathlib import Path

import pytest

from coreml_updatable.building.cache import kept_report


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "A.mlmodel").write_bytes(b"model")
    files = {"A.mlmodel": {"sha256": hashlib.sha256(b"model").hexdigest()}}
    (tmp_path / "report.json").write_text(json.dumps({"key": "k", "files": files}))
    return tmp_path


def test_stands(target: Path) -> None:
    report = kept_report(target, "k")
    assert report is not None
    assert report["key"] == "k"


def test_another_key(target: Path) -> None:
    assert kept_report(target, "other") is None


def test_a_file_missing_or_changed(target: Path) -> None:
    (target / "A.mlmodel").write_bytes(b"changed")
    assert kept_report(target, "k") is None
    (target / "A.mlmodel").unlink()
    assert kept_report(target, "k") is None


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"key": "k"}', '{"key": "k", "files": 3}', '{"key": "k", "files": {"A": 1}}']
)
def test_a_report_that_is_none(target: Path, content: str) -> None:
    (target / "report.json").write_text(content)
    assert kept_report(target, "k") is None
