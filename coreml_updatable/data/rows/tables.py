"""Rows in .json and .csv files."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from coreml_updatable.data.rows.features import Features, kind
from coreml_updatable.data.rows.pictures import picture_of
from coreml_updatable.errors import DataError, a_kind
from coreml_updatable.spec.messages import FeatureDescription


def row_of(values: dict[str, Any], features: Features, folder: Path, where: str) -> dict[str, Any]:
    """Return ``values`` with their pictures opened. Paths of pictures are relative to ``folder``."""
    row = dict(values)
    for name, value in values.items():
        feature = features.known.get(name)
        if feature is not None and kind(feature) == "imageType":
            row[name] = picture_of(_inside(folder, value, f"{where}: '{name}'"), feature, features)
    return row


def from_text(text: str, feature: FeatureDescription | None, where: str) -> Any:
    """A cell of a table: text where the model reads text or a picture's name, else JSON."""
    if feature is not None and kind(feature) in ("stringType", "imageType"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if feature is None:
            return text  # a column the model does not have; it says so itself
        raise DataError(f"{where}: is {shortened(text)}, expected a number or a JSON list of numbers") from None


def shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def _inside(folder: Path, value: Any, where: str) -> Path:
    if not isinstance(value, str) or "\0" in value:
        raise DataError(f"{where}: is {a_kind(value)}, expected the path of a picture, relative to the file")
    path = (folder / value).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise DataError(f"{where}: {shortened(value)} is outside the file's folder; move the picture there")
    return path


MOST_LISTS = 2**21  # of one row; an empty one takes sixty bytes and a place in another
MOST_CHARACTERS = 2**25  # of one row; as Python's objects it takes up to twenty times as many bytes
CHUNK = 2**16  # characters that are read at a time, at first
SPACE = " \t\n\r"


def json_rows(path: Path, features: Features) -> Iterator[tuple[str, dict[str, Any]]]:
    """A row, or a list of rows: objects with the features' names. They are read one at a time."""
    for where, row in _json_values(path):
        if not isinstance(row, dict):
            raise DataError(
                f"{where}: is {a_kind(row)}, expected an object from feature names to values; "
                f"write {{{_example(features)}}}"
            )
        yield where, row_of(row, features, path.parent, where)


def _json_values(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the single value or the elements of the list, each with its place."""
    with path.open(encoding="utf-8-sig") as file:
        text = _Text(path, file)
        if text.next() != "[":
            yield str(path), text.value()
        else:
            text.skip()
            index = 0
            while text.next() != "]" or index:
                yield f"{path}[{index}]", text.value()
                index += 1
                after = text.next()
                if after not in (",", "]"):
                    raise text.fault("Expecting ',' delimiter")
                if after == "]":
                    break
                text.skip()
            text.skip()
        if text.next():
            raise text.fault("Extra data")


class _Text:
    """JSON text that is read in chunks; decoded text is discarded."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path, self._file = path, file
        self._held, self._at, self._lines, self._ended = "", 0, 1, False

    def next(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            while self._at < len(self._held):
                if self._held[self._at] not in SPACE:
                    return self._held[self._at]
                self._at += 1
            if not self._more(CHUNK):
                return ""

    def skip(self) -> None:
        self._at += 1

    def value(self) -> Any:
        """The JSON value that begins at the next character."""
        self.next()
        size = CHUNK
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held, self._at)
                if end < len(self._held) or self._ended:
                    self._at = end
                    return value
            except json.JSONDecodeError as error:
                if self._ended:
                    raise self.fault(error.msg, error.pos) from None
            except (ValueError, RecursionError):
                raise self.fault("too deep, or a number too long") from None
            if len(self._held) - self._at >= MOST_CHARACTERS:
                raise DataError(
                    f"{self._path}: has a row of more than {MOST_CHARACTERS} characters, which begins in line "
                    f"{self._line(self._at)}; save long arrays as .npy"
                )
            if self._held.count("[", self._at) + self._held.count("{", self._at) > MOST_LISTS:
                raise DataError(
                    f"{self._path}: has a row of more than {MOST_LISTS} lists and objects, which begins in line "
                    f"{self._line(self._at)}; save long arrays as .npy"
                )
            size = min(2 * size, MOST_CHARACTERS + 1)  # a long value is not begun too often, and not read much too far
            self._ended = not self._more(size)

    def fault(self, message: str, at: int | None = None) -> DataError:
        line = self._line(self._at if at is None else at)
        return DataError(f"{self._path}: is not valid JSON (line {line}: {message}); expected a row or a list of rows")

    def _line(self, index: int) -> int:
        return self._lines + self._held.count("\n", 0, index)

    def _more(self, size: int) -> bool:
        """Read the next chunk and discard decoded text; False at the end."""
        chunk = _read(self._path, lambda: self._file.read(size))
        self._lines += self._held.count("\n", 0, self._at)
        self._held, self._at = self._held[self._at :] + chunk, 0
        return bool(chunk)


_DECODER = json.JSONDecoder()


def csv_rows(path: Path, features: Features) -> Iterator[tuple[str, dict[str, Any]]]:
    """Columns by feature name. An empty cell leaves the feature out; a multi-array is JSON in its cell. Rows are read
    one at a time."""
    names: list[str] = []
    for line, texts in _csv_lines(path):
        if not names:
            names = [name.strip() for name in texts]
            if not all(names) or len(set(names)) != len(names):
                raise DataError(
                    f"{path}: the first line is {_short(names)}, expected the name of each feature once; name the "
                    "columns"
                )
            continue
        where = f"{path}:{line}"
        if len(texts) != len(names):
            raise DataError(
                f"{where}: has {len(texts)} cells, but the first line has {len(names)}; quote cells that contain commas"
            )
        filled = {name: text for name, text in zip(names, texts, strict=True) if text.strip()}
        values = {
            name: from_text(text, features.known.get(name), f"{where}: '{name}'") for name, text in filled.items()
        }
        yield where, row_of(values, features, path.parent, where)
    if not names:
        raise DataError(f"{path}: the first line is empty, expected the name of each feature once; name the columns")


def _csv_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The cells of every line that has some, with its number."""
    read = 0

    def lines(file: TextIO) -> Iterator[str]:
        nonlocal read
        while line := _read(path, lambda: file.readline(MOST_CHARACTERS + 1)):
            read += len(line)
            if read > MOST_CHARACTERS:
                raise DataError(
                    f"{path}: has a row of more than {MOST_CHARACTERS} characters; save long arrays as .npy"
                )
            yield line

    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(lines(file), strict=True)
        while True:
            before = csv.field_size_limit(MOST_CHARACTERS)
            try:
                texts = next(reader, None)
            except csv.Error as error:
                raise DataError(f"{path}: is not a table ({error}); expected comma-separated values") from None
            finally:
                csv.field_size_limit(before)
            read = 0
            if texts is None:
                return
            if texts:
                yield reader.line_num, texts


def _read(path: Path, read: Callable[[], str]) -> str:
    try:
        return read()
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text; save it as UTF-8") from None


def _short(names: list[str]) -> str:
    return str(names[:8]) if len(names) <= 8 else f"{names[:8]} and {len(names) - 8} more"


def _example(features: Features) -> str:
    return ", ".join(f'"{name}": ...' for name in features.inputs)
