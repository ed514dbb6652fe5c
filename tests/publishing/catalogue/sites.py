"""What stands in a catalogue, read for comparison, and builds with another report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coreml_updatable.publishing.catalogue.index import Index
from coreml_updatable.publishing.catalogue.site_files import read_index

MakeBuild = Callable[..., Path]


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file, its bytes and when it was written."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def index_of(site: Path) -> Index:
    index = read_index(site)
    assert index is not None
    return index


def versions(site: Path, name: str) -> list[str]:
    entry = index_of(site).entry(name)
    return [release.version for release in entry.versions] if entry else []


def report_with(build: Path, **fields: Any) -> Path:
    report = json.loads((build / "report.json").read_text())
    (build / "report.json").write_text(json.dumps({**report, **fields}))
    return build
