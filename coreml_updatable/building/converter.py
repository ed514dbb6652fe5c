"""Finding a converter by name through its entry point; the library imports none of them."""

from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points

from coreml_updatable.conversion import ConversionRequest, Converted
from coreml_updatable.errors import RecipeError

GROUP = "coreml_updatable.converters"


def find_converter(name: str) -> EntryPoint:
    """The entry point registered under ``name``."""
    known = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    question = f"did you mean {near[0]!r}? " if near else ""
    names = ", ".join(sorted(known)) or "none"
    raise RecipeError(
        f"source.converter is {name!r}, which no installed package registers; {question}installed: {names}"
    )


def version_of(entry: EntryPoint) -> str:
    """Name and version of the package that registers ``entry``; part of the key of what it converted."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value


def load_converter(entry: EntryPoint) -> Callable[[ConversionRequest], Converted]:
    function: Callable[[ConversionRequest], Converted] = entry.load()
    return function
