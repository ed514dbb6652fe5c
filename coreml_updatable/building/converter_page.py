"""What can be said of a converter without importing it: its first line, the kinds of its files, what it lacks."""

import ast
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path

from coreml_updatable.building.extras import needs_of, other_needs_of
from coreml_updatable.building.file_kind import CONVERTERS


@dataclass(frozen=True)
class ConverterFacts:
    name: str
    summary: str
    endings: tuple[str, ...]  # of the files that it is asked for unless another is named
    missing: tuple[str, ...]
    command: str  # that installs what is missing


def told(entry: EntryPoint) -> ConverterFacts:
    needs = needs_of(entry)
    needs = needs if needs.missing else other_needs_of(entry)
    endings = tuple(ending for ending, name in CONVERTERS.items() if name == entry.name)
    return ConverterFacts(entry.name, _first_line(entry), endings, needs.missing, needs.command)


def _first_line(entry: EntryPoint) -> str:
    """Of the docstring of the converter's module, read as text."""
    try:
        spec = find_spec(entry.module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return entry.value
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    return docstring.splitlines()[0] if docstring else entry.value
