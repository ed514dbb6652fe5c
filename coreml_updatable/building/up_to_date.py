"""Whether the results of an earlier run still stand: the same key, and every file as it was written."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPORT = "report.json"
SUMMARY = "summary.txt"  # the report for a terminal, in the cache


def kept_report(target: Path, key: str) -> Mapping[str, Any] | None:
    """The report of an earlier run in ``target`` under the same ``key``; None if a file is missing or was changed."""
    try:
        report: Mapping[str, Any] = json.loads((target / REPORT).read_text(encoding="utf-8"))
        if report["key"] != key:
            return None
        for name, file in report["files"].items():
            if hashlib.sha256((target / name).read_bytes()).hexdigest() != file["sha256"]:
                return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return report
