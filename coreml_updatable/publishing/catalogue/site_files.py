"""The files at the top of a catalogue: reading them with distrust, and their bytes."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from coreml_updatable.errors import CatalogueError, first_fault, quoted, wrong_schema
from coreml_updatable.publishing.catalogue.index import RENAMED, SCHEMA, Index, Latest, json_schema
from coreml_updatable.text import json_text

INDEX, INDEX_SCHEMA, LATEST = "index.json", "index.schema.json", "latest.json"
MAXIMUM_BYTES = 100_000_000  # of an index; one of ten thousand models is smaller
MOST_VALUES = 4_000_000  # in it; a hundred bytes of memory or two for each

Kind = TypeVar("Kind", bound=BaseModel)


def read_index(site: Path) -> Index | None:
    """The catalogue's index; None where there is none yet."""
    path = site / INDEX
    return parse_file(path, Index) if path.exists() or path.is_symlink() else None


def read_latest(site: Path) -> Latest:
    return parse_file(site / LATEST, Latest)


def parse(content: bytes, where: str, kind: type[Kind]) -> Kind:
    """A ``kind`` out of JSON; a CatalogueError for another schema or a wrong field."""
    values = sum(content.count(sign) for sign in (b",", b":", b"{", b"["))
    if values > MOST_VALUES:
        raise CatalogueError(
            f"{where}: holds about {values} values, expected at most {MOST_VALUES}; split it into several catalogues"
        )
    try:
        value = json.loads(content, object_pairs_hook=_each_once)
        result = value.get("schema")
    except (ValueError, AttributeError, RecursionError) as error:
        twice = f" ({error})" if isinstance(error, _TwiceError) else ""
        raise CatalogueError(f"{where}: is not the JSON of a catalogue{twice}; restore it from a copy") from None
    if result == 1 and not isinstance(result, bool):
        result, content = SCHEMA, json.dumps({**_renamed(value), "schema": SCHEMA}).encode()
    if result != SCHEMA or isinstance(result, bool):
        raise CatalogueError(f"{where}: {wrong_schema(result, SCHEMA, 'restore it from a copy')}")
    try:
        return kind.model_validate_json(content, strict=True)  # "9" is no serial
    except ValidationError as error:
        raise CatalogueError(f"{where}: {first_fault(error)}; restore it from a copy") from None


class _TwiceError(ValueError):
    pass


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two fields of one name, parsers take the first or the last: a reader would see another text than we do."""
    table = dict(pairs)
    if len(table) != len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise _TwiceError(f"it has {quoted(name)} twice")
    return table


def _renamed(value: Any) -> Any:
    """An index of schema 1 with the names of today."""
    if isinstance(value, dict):
        return {RENAMED.get(name, name): _renamed(held) for name, held in value.items()}
    return [_renamed(held) for held in value] if isinstance(value, list) else value


def is_outdated(site: Path) -> bool:
    """Whether the index of ``site``, which can be read, is of an older schema."""
    return (site / INDEX).is_file() and json.loads((site / INDEX).read_bytes())["schema"] != SCHEMA


def to_bytes(value: BaseModel) -> bytes:
    """Indented JSON, UTF-8, ending in a newline."""
    dumped = value.model_dump(mode="json")
    if not dumped.get("devices", True):
        del dumped["devices"]  # an index without them is as it was before there were any
    return (json_text(dumped, indent=1) + "\n").encode()


def schema_bytes() -> bytes:
    return (json_text(json_schema(), indent=1) + "\n").encode()


def parse_file(path: Path, kind: type[Kind]) -> Kind:
    """The ``kind`` in the JSON file ``path``; a CatalogueError for anything else there."""
    if path.is_symlink() or not path.is_file():
        raise CatalogueError(f"{path}: is not a regular file, expected the JSON of a catalogue; restore it from a copy")
    if path.stat().st_size > MAXIMUM_BYTES:
        raise CatalogueError(f"{path}: is larger than {MAXIMUM_BYTES} bytes; restore it from a copy")
    return parse(path.read_bytes(), str(path), kind)
