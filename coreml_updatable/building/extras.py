"""What a converter needs beyond the package that registers it, read from the metadata of what is installed.

What is no package of this Python is told by a function () -> (names of what is missing, the command that brings it),
registered under the converter's own name in the group ``coreml_updatable.needs``. It must be quick to import.
"""

from dataclasses import dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

from packaging.requirements import Requirement

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
    asked = [
        requirement
        for requirement in map(Requirement, entry.dist.requires or ())
        for extra in entry.extras
        if requirement.marker is not None and _only_with(requirement, extra)
    ]
    missing = tuple(f"{one.name}{one.specifier}" for one in asked if not _installed(one))
    extras = ",".join(entry.extras)
    return Needs(missing, f"pip install '{entry.dist.name}[{extras}]'" if missing else "")


def other_needs_of(entry: EntryPoint) -> Needs:
    """What is missing that no package of this Python brings."""
    for one in entry_points(group=GROUP, name=entry.name):
        missing, command = one.load()()
        if missing:
            return Needs(tuple(missing), command)
    return Needs((), "")


def _only_with(requirement: Requirement, extra: str) -> bool:
    marker = requirement.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _installed(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False
