"""Find converters by name through their entry points, and say what each needs beyond its package.

What is no package of this Python is told by a function () -> (names of what is missing, the command that brings it),
registered under the converter's own name in the group ``coreml_updatable.needs``. It must be quick to import.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, distribution, entry_points
from typing import Any, get_args, get_type_hints

from coreml_updatable.converting.contract import (
    ConversionRequest,
    Converted,
    ConvertedSource,
    DeclaredPicture,
    SourceRequest,
)
from coreml_updatable.errors import RecipeError
from coreml_updatable.installing import OURS, install_command, missing, requirements
from coreml_updatable.spec.messages import Model
from coreml_updatable.text import did_you_mean

GROUP = "coreml_updatable.converters"


def find_converter(name: str, *, asked_by: str = "source.converter") -> EntryPoint:
    """The entry point registered under ``name``; ``asked_by`` says in errors where the name stands."""
    known = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name in known:
        return known[name]
    names = f"the installed converters are {', '.join(sorted(known)) or 'none'}"
    raise RecipeError(f"Unknown converter {name!r} ({asked_by}); {did_you_mean(name, known) or names}")


def version_of(entry: EntryPoint) -> str:
    """Name and version of the package that registers ``entry``; part of the key of what it converted."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value


def load_converter(entry: EntryPoint) -> Callable[[ConversionRequest], Converted]:
    """The function that a recipe calls; a RecipeError where the converter takes finished classifiers only."""
    function: Callable[[ConversionRequest], Converted] = entry.load()
    if not _takes(function, ConversionRequest):
        raise RecipeError(
            f"source.converter is {entry.name!r}, which converts trained classifiers but does not train; run: "
            f"coreml-updatable convert SOURCE --converter {entry.name} -o OUT.mlmodel"
        )
    return function


def declared_by(entry: EntryPoint, source: Mapping[str, Any]) -> DeclaredPicture | None:
    """What the network of a recipe's [source] says of its pictures; None where the converter, or it, says nothing."""
    function: Callable[[Mapping[str, Any]], DeclaredPicture | None] | None
    function = getattr(import_module(entry.module), "declared", None)
    return function(source) if function is not None else None


def check_source(entry: EntryPoint, source: Mapping[str, Any]) -> None:
    """Let the converter refuse fields of a recipe's [source]; RecipeError where it serves no recipes at all."""
    load_converter(entry)
    function: Callable[[Mapping[str, Any]], None] | None = getattr(import_module(entry.module), "check_source", None)
    if function is not None:
        function(source)


def cross_validates(entry: EntryPoint, source: Mapping[str, Any]) -> bool:
    """Whether the converter fits the network of a recipe's [source] so cheaply that it can be cross-validated."""
    function: Callable[[Mapping[str, Any]], bool] | None
    function = getattr(import_module(entry.module), "cross_validates", None)
    return function is not None and function(source)


def load_untrained(entry: EntryPoint) -> Callable[[ConversionRequest], Model] | None:
    """The converter's ``untrained``, where it has one."""
    function: Callable[[ConversionRequest], Model] | None = getattr(import_module(entry.module), "untrained", None)
    return function


def load_source_converter(entry: EntryPoint) -> Callable[[SourceRequest], ConvertedSource]:
    """The function that converts a finished classifier; a RecipeError where the converter serves recipes only."""
    function: Callable[[SourceRequest], ConvertedSource] = entry.load()
    if not _takes(function, SourceRequest):
        raise RecipeError(
            f"--converter is {entry.name!r}, which is for recipes only; write a recipe, or choose another converter"
        )
    return function


def _takes(function: Callable[..., Any], request: type) -> bool:
    """Whether the annotation of the first argument is ``request``, or a union with it."""
    annotations = [hint for name, hint in get_type_hints(function).items() if name != "return"]
    return bool(annotations) and request in (annotations[0], *get_args(annotations[0]))


NEEDS_GROUP = "coreml_updatable.needs"


@dataclass(frozen=True)
class Needs:
    """``missing``: each as one would ask pip for it; ``command`` installs them all, empty where nothing is missing."""

    missing: tuple[str, ...]
    command: str


def needs_of(entry: EntryPoint) -> Needs:
    """What is missing for the converter registered as ``entry``; nothing is imported to find out."""
    if entry.dist is None or not entry.extras:
        return Needs((), "")
    absent = [item for item in requirements(entry.dist, entry.extras) if missing(item)]
    result = tuple(f"{item.name}{item.specifier}" for item in absent)
    return Needs(result, install_command(*entry.extras, package=entry.dist) if result else "")


def other_needs_of(entry: EntryPoint) -> Needs:
    """What is missing that no package of this Python brings."""
    for entry_point in entry_points(group=NEEDS_GROUP, name=entry.name):
        names, command = entry_point.load()()
        if names:
            return Needs(tuple(names), command)
    return Needs((), "")


def lacking(extras: Sequence[str]) -> tuple[str, ...]:
    """Those of this package's ``extras`` that are not installed as a whole."""
    package = distribution(OURS)
    return tuple(extra for extra in extras if any(missing(item) for item in requirements(package, [extra])))


def missing_extras_sentence(extras: Sequence[str]) -> str | None:
    """What of ``extras`` is not installed, and the command that brings it, as a sentence; None where all is there."""
    absent = lacking(extras)
    if not absent:
        return None
    names = dict.fromkeys(item.name for item in requirements(distribution(OURS), absent) if missing(item))
    return f"{', '.join(names)} is not installed; run: {install_command(*absent)}"
