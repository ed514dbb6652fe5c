"""From the path of a request to a file beneath the catalogue, and to no other."""

from pathlib import Path

LONGEST = 1024
LIST = "index.html"


def file_of(root: Path, path: str) -> Path | None:
    """The file that ``path`` (decoded once, beginning with a slash) names; None where there is none to be given.

    Hidden files, links, and whatever is no plain name are never given.
    """
    if not path.startswith("/") or len(path) > LONGEST:
        return None
    names = path[1:].split("/")
    if names[-1] == "":
        names[-1] = LIST
    place = root
    for name in names:
        if not _is_plain(name):
            return None
        place = place / name
        if place.is_symlink():
            return None
    return place if place.is_file() else None


def _is_plain(name: str) -> bool:
    """A visible name of ASCII letters, digits and some signs: what a catalogue's files are called."""
    allowed = name.isascii() and all(one.isalnum() or one in "._-" for one in name)
    return allowed and name != "" and not name.startswith(".")
