"""What a converter needs beyond the package itself, read from the metadata of what is installed.

What is no package of this Python is told by a function () -> (names of what is missing, the command that brings it),
registered under the converter's own name in the group ``coreml_updatable.needs``. It must be quick to import.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distribution, entry_points

from coreml_updatable.installing import OURS, install_command, missing, requirements

GROUP = "coreml_updatable.needs"


@dataclass(frozen=True)
class Needs:
    """``missing``: each as one would ask pip for it; ``command`` installs them all, empty where nothing is missing."""

    missing: tuple[str, ...]
    command: str


def needs_of(entry: EntryPoint) -> Needs:
    """What is missing for the converter registered as ``entry``; nothing is imported to find out."""
    if entry.dist is None or not entry.extras:
        return Needs((), "")
    absent = [one for one in requirements(entry.dist, entry.extras) if missing(one)]
    told = tuple(f"{one.name}{one.specifier}" for one in absent)
    return Needs(told, install_command(*entry.extras, package=entry.dist) if told else "")


def other_needs_of(entry: EntryPoint) -> Needs:
    """What is missing that no package of this Python brings."""
    for one in entry_points(group=GROUP, name=entry.name):
        names, command = one.load()()
        if names:
            return Needs(tuple(names), command)
    return Needs((), "")


def lacking(extras: Sequence[str]) -> tuple[str, ...]:
    """Those of this package's ``extras`` that are not installed as a whole."""
    package = distribution(OURS)
    return tuple(extra for extra in extras if any(missing(one) for one in requirements(package, [extra])))


def told_lacking(extras: Sequence[str]) -> str | None:
    """What of ``extras`` is not installed, and the command that brings it, as a sentence; None where all is there."""
    absent = lacking(extras)
    if not absent:
        return None
    names = dict.fromkeys(one.name for one in requirements(distribution(OURS), absent) if missing(one))
    return f"{', '.join(names)} is not installed; run: {install_command(*absent)}"
