"""`coreml-updatable converters`: which there are, which are installed, and what installs the rest."""

import ast
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from coreml_updatable.cli.output import say, say_json
from coreml_updatable.converting.registry import needs_of, other_needs_of
from coreml_updatable.converting.source_kind import CONVERTERS


@dataclass(frozen=True)
class ConverterFacts:
    name: str
    summary: str
    endings: tuple[str, ...]  # of the files that it is asked for unless another is named
    missing: tuple[str, ...]
    command: str  # that installs what is missing


def facts_of(entry: EntryPoint) -> ConverterFacts:
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


def converters(json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False) -> None:
    """List the converters and what each one needs installed."""
    from importlib.metadata import entry_points

    from coreml_updatable.converting.registry import GROUP

    listed = [facts_of(entry) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)]
    if json:
        from dataclasses import asdict

        say_json([asdict(entry) for entry in listed], indent=1)
        return
    width = max(len(entry.name) for entry in listed) if listed else 0
    for item in listed:
        state = f"needs {', '.join(item.missing)}: {item.command}" if item.missing else "installed"
        say(f"{item.name:{width}}  {item.summary}", f"{'':{width}}  {state}")
