"""Whether a catalogue is whole: every file that its index names, every sum, every link."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.index import File, Index, Release, device_path, latest_of, path_of
from coreml_updatable.publishing.catalogue.places import unnamed
from coreml_updatable.publishing.catalogue.signing import (
    PUBLIC_KEY,
    keys_of,
    moment,
    public_text,
    read_public_keys,
    signature_faults,
    signed_by,
)
from coreml_updatable.publishing.catalogue.site_files import (
    INDEX,
    INDEX_SCHEMA,
    LATEST,
    MAXIMUM_BYTES,
    parse_file,
    read_index,
    read_latest,
    schema_bytes,
)

ATTRIBUTES = frozenset({"href", "src", "data", "action", "poster"})


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        for name, value in attrs:
            if name in ATTRIBUTES and value:
                self.targets.append(value)
            elif name == "id" and value:
                self.anchors.add(value)


def broken_links(site: Path, page: Path) -> list[str]:
    """The links of ``page`` that lead to no file beneath ``site`` or to no place on the page; other hosts are left."""
    result = _Links()
    result.feed(page.read_text(encoding="utf-8", errors="replace"))
    return [target for target in dict.fromkeys(result.targets) if not _leads_somewhere(site, page, target, result)]


def _leads_somewhere(site: Path, page: Path, target: str, result: _Links) -> bool:
    try:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            return True
        if not parts.path:
            return not parts.fragment or unquote(parts.fragment) in result.anchors
        path = (page.parent / unquote(parts.path)).resolve()
        return path.is_relative_to(site.resolve()) and path.is_file()
    except (ValueError, OSError, RuntimeError):  # no address, a name that no file has, links in a circle
        return False


CHUNK = 1 << 20
SOON = timedelta(days=14)
MAX_PAGE_BYTES = 20_000_000
NOT_OURS = frozenset({"report.html"})  # a report holds all it shows


@dataclass(frozen=True)
class Checked:
    """``faults``: one sentence each, empty where all is well. ``notes``: what is no fault."""

    files: int
    bytes: int
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def check_site(
    site: Path,
    trusted: Ed25519PublicKey | Sequence[Ed25519PublicKey] | None = None,
    previous: Path | None = None,
    now: datetime | None = None,
) -> Checked:
    """Compare everything with the index; a CatalogueError if there is none that can be read.

    ``trusted``: of whom one must have signed; None takes the catalogue's own word for it, if it is signed.
    ``previous``: the catalogue as readers have it, a folder or its index.json, which this one is to follow.
    """
    named = (trusted,) if isinstance(trusted, Ed25519PublicKey) else tuple(trusted or ())
    texts = [public_text(key) for key in named]
    index = read_index(site)
    if index is None:
        raise CatalogueError(f"{site}: has no {INDEX}, expected a catalogue; pass the folder that was published to")
    files = [
        (path_of(entry.name, release.version, file), file)
        for entry in index.models
        for release in entry.versions
        for file in release.every_file()
    ] + [(device_path(device), device) for device in index.devices]
    faults = [
        *_file_faults(site, files),
        *_signature_faults(site, index, texts),
        *_expiry_faults(site, index, now or datetime.now(UTC)),
        *(_previous_faults(site, index, previous) if previous is not None else ()),
        *_url_faults(site, index),
        *_latest_faults(site, index, now or datetime.now(UTC)),
        *_schema_faults(site),
        *_link_faults(site),
        *_stranger_faults(site),
    ]
    notes = [f"{path}: is not in the index; the next publish removes it" for path in unnamed(site, index)]
    notes += _latest_notes(site, index)
    notes += _expiry_notes(site, index, now or datetime.now(UTC))
    return Checked(len(files), sum(file.bytes for _, file in files), tuple(faults), tuple(notes))


def previous_index(previous: Path) -> Index:
    """The index of the catalogue as readers have it: a folder, or the file."""
    index = read_index(previous) if previous.is_dir() else parse_file(previous, Index)
    if index is None:
        raise CatalogueError(f"{previous}: has no {INDEX}, expected an earlier copy of the catalogue; check the path")
    return index


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
            yield f"{path}: has another SHA-256 than in the index; publish into a new folder"


def _url_faults(site: Path, index: Index) -> Iterator[str]:
    for entry in index.models:
        for release in entry.versions:
            for file in release.every_file():
                expected = f"{index.base_url}{path_of(entry.name, release.version, file)}"
                if file.url != expected:
                    yield f"{site / INDEX}: the url of {file.file} is {file.url!r:.200}, expected {expected}"
    for device in index.devices:
        if device.url != f"{index.base_url}{device_path(device)}":
            yield f"{site / INDEX}: the url of {device.file} is {device.url!r:.200}, expected {device_path(device)}"


def _latest_faults(site: Path, index: Index, now: datetime) -> Iterator[str]:
    try:
        latest = read_latest(site)
    except CatalogueError as error:
        yield str(error)
        return
    if latest.expires is not None and moment(latest.expires) <= now:
        yield f"{site / LATEST}: expired at {latest.expires}, so readers refuse it; publish again with --sign KEY"
    if latest.serial > index.serial:
        yield f"{site / LATEST}: has the serial {latest.serial}, but the index has {index.serial}; publish again"
    if latest.serial == index.serial and latest != latest_of(index):
        yield f"{site / LATEST}: does not match the index with the same serial; publish again"
    versions = {entry.name: {release.version for release in entry.versions} for entry in index.models}
    for name, version in latest.models.items():
        if version not in versions.get(name, ()):
            yield f"{site / LATEST}: names {name} {version}, which the index does not have; publish again"


def _latest_notes(site: Path, index: Index) -> Iterator[str]:
    """A publisher that was killed between the two files leaves this; readers of the index refuse the older one."""
    with suppress(CatalogueError):
        serial = read_latest(site).serial
        if serial < index.serial:
            yield (
                f"{site / LATEST}: has the serial {serial}, which is older than the index ({index.serial}), so readers "
                "that have seen the index refuse it; publish again"
            )


def _signature_faults(site: Path, index: Index, trusted: Sequence[str]) -> Iterator[str]:
    own = keys_of(site, index)
    if index.keys and (not (site / PUBLIC_KEY).is_file() or read_public_keys(site / PUBLIC_KEY) != index.keys):
        yield f"{site / PUBLIC_KEY}: has other keys than the index; publish again"
    for file in (INDEX, LATEST):
        if (site / file).is_file() and (site / file).stat().st_size <= MAXIMUM_BYTES:
            yield from signature_faults(site, file, own, trusted)


def _expiry_faults(site: Path, index: Index, now: datetime) -> Iterator[str]:
    if index.expires is not None and moment(index.expires) <= now:
        yield f"{site / INDEX}: expired at {index.expires}, so readers refuse it; publish again with --sign KEY"


def _expiry_notes(site: Path, index: Index, now: datetime) -> Iterator[str]:
    if index.expires is not None and timedelta(0) < moment(index.expires) - now < SOON:
        yield f"{site / INDEX}: expires at {index.expires}; publish again with --sign KEY before that"


def _previous_faults(site: Path, index: Index, previous: Path) -> Iterator[str]:
    """What a reader who knows ``previous`` would refuse."""
    before = previous_index(previous)
    content = (site / INDEX).read_bytes()
    if index.serial < before.serial:
        yield (
            f"{site / INDEX}: has the serial {index.serial}, but readers have seen {before.serial}; publish again "
            f"with --previous {previous}"
        )
    if index.serial == before.serial and index != before:
        yield (
            f"{site / INDEX}: differs from the index with the serial {index.serial} that readers have seen; publish "
            "again"
        )
    for entry in index.models:
        old = before.entry(entry.name)
        for release in entry.versions:
            known = (
                next((version for version in old.versions if version.version == release.version), None) if old else None
            )
            if known is not None and _sums(known) != _sums(release):
                yield f"{site / INDEX}: {entry.name} {release.version} has other files than before; raise its version"

    def read(place: str) -> bytes | None:
        return (site / place).read_bytes()[:10_000] if (site / place).is_file() else None

    keys = keys_of(previous if previous.is_dir() else previous.parent, before)
    if keys and not any(signed_by(key, content, read) for key in keys):
        yield (
            f"{site / INDEX}: is not signed by a key that readers accept; sign with the old and the new key for some "
            "time"
        )


def _sums(release: Release) -> dict[str, str]:
    return {file.file: file.sha256 for file in release.every_file()}


def _schema_faults(site: Path) -> Iterator[str]:
    path = site / INDEX_SCHEMA
    if not path.is_file() or path.read_bytes() != schema_bytes():
        yield f"{path}: is not the schema of this index; publish again"


def _link_faults(site: Path) -> Iterator[str]:
    for page in sorted(site.rglob("*.html")):
        if page.name in NOT_OURS or page.is_symlink() or not page.is_file():
            continue
        if page.stat().st_size > MAX_PAGE_BYTES:
            yield f"{page}: is larger than {MAX_PAGE_BYTES} bytes, expected a page of the gallery; publish again"
        else:
            for target in broken_links(site, page):
                yield f"{page}: links to {target!r:.200}, which does not exist; publish again"


def _stranger_faults(site: Path) -> Iterator[str]:
    """Links and keys have no place in a folder that is put on a server."""
    for path in sorted(site.rglob("*")):
        if path.is_symlink():
            yield f"{path}: is a link, expected only files and folders; remove it"
        elif path.is_file() and path.stat().st_size < 10_000 and b"PRIVATE KEY-----" in path.read_bytes():
            yield f"{path}: contains a private key; remove it and use a new key, because this one may be compromised"
