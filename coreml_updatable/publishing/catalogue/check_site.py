"""Whether a catalogue is whole: every file that its index names, every sum, every link."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.index import File, Index, path_of
from coreml_updatable.publishing.catalogue.links import broken_links
from coreml_updatable.publishing.catalogue.places import unnamed
from coreml_updatable.publishing.catalogue.signing import signature_faults
from coreml_updatable.publishing.catalogue.site_files import (
    INDEX,
    INDEX_SCHEMA,
    LATEST,
    read_index,
    read_latest,
    schema_bytes,
)

CHUNK = 1 << 20
NOT_OURS = frozenset({"report.html"})  # a report holds all it shows


@dataclass(frozen=True)
class Checked:
    """``faults``: one sentence each, empty where all is well. ``notes``: what is no fault."""

    files: int
    bytes: int
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def check_site(site: Path, trusted: Ed25519PublicKey | None = None) -> Checked:
    """Compare everything with the index; a CatalogueError if there is none that can be read.

    ``trusted``: who must have signed the index; None takes the catalogue's own word for it, if it is signed.
    """
    index = read_index(site)
    if index is None:
        raise CatalogueError(f"{site}: has no {INDEX}, expected a catalogue; name the folder that was published to")
    files = [
        (path_of(entry.name, release.version, file), file)
        for entry in index.models
        for release in entry.versions
        for file in release.every_file()
    ]
    faults = [
        *_file_faults(site, files),
        *signature_faults(site, trusted),
        *_url_faults(site, index),
        *_latest_faults(site, index),
        *_schema_faults(site),
        *_link_faults(site),
        *_stranger_faults(site),
    ]
    notes = tuple(f"{path}: is named by no index; the next publish removes it" for path in unnamed(site, index))
    return Checked(len(files), sum(file.bytes for _, file in files), tuple(faults), notes)


def sha256_of(path: Path) -> str:
    """The sum of a file, read in pieces."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            total.update(piece)
    return total.hexdigest()


def _file_faults(site: Path, files: list[tuple[str, File]]) -> Iterator[str]:
    for place, file in files:
        path = site / place
        if not path.is_file() or not path.resolve().is_relative_to(site.resolve()):
            yield f"{path}: is missing, expected a file of {file.bytes} bytes; publish into a new folder"
        elif path.stat().st_size != file.bytes or sha256_of(path) != file.sha256:
            yield f"{path}: is not what the index says (another SHA-256); publish into a new folder"


def _url_faults(site: Path, index: Index) -> Iterator[str]:
    for entry in index.models:
        for release in entry.versions:
            for file in release.every_file():
                expected = f"{index.base_url}{path_of(entry.name, release.version, file)}"
                if file.url != expected:
                    yield f"{site / INDEX}: the url of {file.file} is {file.url!r:.200}, expected {expected}"


def _latest_faults(site: Path, index: Index) -> Iterator[str]:
    try:
        latest = read_latest(site)
    except CatalogueError as error:
        yield str(error)
        return
    versions = {entry.name: {release.version for release in entry.versions} for entry in index.models}
    for name, version in latest.models.items():
        if version not in versions.get(name, ()):
            yield f"{site / LATEST}: names {name} {version}, which the index does not have; publish again"


def _schema_faults(site: Path) -> Iterator[str]:
    path = site / INDEX_SCHEMA
    if not path.is_file() or path.read_bytes() != schema_bytes():
        yield f"{path}: is not the schema of this index; publish again"


def _link_faults(site: Path) -> Iterator[str]:
    for page in sorted(site.rglob("*.html")):
        if page.name not in NOT_OURS and page.is_file():
            for target in broken_links(site, page):
                yield f"{page}: links to {target!r:.200}, where there is nothing; publish again"


def _stranger_faults(site: Path) -> Iterator[str]:
    """Links and keys have no place in a folder that is put on a server."""
    for path in sorted(site.rglob("*")):
        if path.is_symlink():
            yield f"{path}: is a link, expected files and folders only; remove it"
        elif path.is_file() and path.stat().st_size < 10_000 and b"PRIVATE KEY-----" in path.read_bytes():
            yield f"{path}: holds a private key; remove it, and take another key, for this one may be known"
