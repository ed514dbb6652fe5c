"""Rows in .json and .csv files."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coreml_updatable.cli.rows.features import Features
from coreml_updatable.cli.rows.values import from_text, row_of
from coreml_updatable.errors import DataError, a_kind

MOST_BYTES = 2**30
LONGEST_CELL = 2**27


def json_rows(path: Path, features: Features) -> Iterator[tuple[str, dict[str, Any]]]:
    """A row, or a list of rows: objects with the features' names."""
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        reason = (
            f"line {error.lineno}: {error.msg}"
            if isinstance(error, json.JSONDecodeError)
            else "too deep, or a number too long"
        )
        raise DataError(f"{path}: is no JSON ({reason}); expected a row or a list of rows") from None
    rows = content if isinstance(content, list) else [content]
    for number, row in enumerate(rows):
        where = f"{path}[{number}]" if isinstance(content, list) else str(path)
        if not isinstance(row, dict):
            raise DataError(
                f"{where}: is {a_kind(row)}, expected an object from feature names to values; "
                f"write {{{_example(features)}}}"
            )
        yield where, row_of(row, features, path.parent, where)


def csv_rows(path: Path, features: Features) -> Iterator[tuple[str, dict[str, Any]]]:
    """Columns by feature name. An empty cell leaves the feature out; a multi-array is JSON in its cell."""
    lines = _text(path).splitlines(keepends=True)
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        reader = csv.reader(lines, strict=True)
        names = [name.strip() for name in next(reader, [])]
        if not names or len(set(names)) != len(names):
            raise DataError(f"{path}: the first line is {names}, expected each feature's name once; name the columns")
        cells = [(reader.line_num, line) for line in reader if line]
    except csv.Error as error:
        raise DataError(f"{path}: is no table ({error}); expected comma-separated values") from None
    finally:
        csv.field_size_limit(before)
    for line, texts in cells:
        where = f"{path}:{line}"
        if len(texts) != len(names):
            raise DataError(
                f"{where}: has {len(texts)} cells, the first line has {len(names)}; quote cells with commas"
            )
        filled = {name: text for name, text in zip(names, texts, strict=True) if text.strip()}
        values = {
            name: from_text(text, features.known.get(name), f"{where}: '{name}'") for name, text in filled.items()
        }
        yield where, row_of(values, features, path.parent, where)


def _text(path: Path) -> str:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise DataError(f"{path}: has {size} bytes, at most {MOST_BYTES} are read; split it")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: is no UTF-8 text; save it as UTF-8") from None


def _example(features: Features) -> str:
    return ", ".join(f'"{name}": ...' for name in features.inputs)
