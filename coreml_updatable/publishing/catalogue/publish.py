"""Publish: releases are copied aside and put in place whole, then the index, and latest.json last.

A reader, and whoever finds the catalogue of a killed publisher, sees nothing named before it is there: every state is
the old catalogue or the new one, at most with files that no index names yet.
"""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coreml_updatable.errors import CatalogueError
from coreml_updatable.files import alone, write_atomically
from coreml_updatable.publishing.catalogue.build_report import read_published_report, read_report
from coreml_updatable.publishing.catalogue.devices import read_devices
from coreml_updatable.publishing.catalogue.index import Device, Index, Release, device_path, latest_of
from coreml_updatable.publishing.catalogue.merging import (
    added,
    pruned,
    published_as,
    refuse_other_bytes,
    with_devices,
    with_urls,
)
from coreml_updatable.publishing.catalogue.names import release_folder
from coreml_updatable.publishing.catalogue.pages import expect_shown, pages
from coreml_updatable.publishing.catalogue.places import (
    inside,
    put_in_place,
    remove,
    remove_dropped,
    remove_unnamed,
    unnamed,
)
from coreml_updatable.publishing.catalogue.release import EXAMPLES, has_the_same_files, read_release, verify_build
from coreml_updatable.publishing.catalogue.signing import (
    PUBLIC_KEY,
    accepted,
    expiring,
    keys_of,
    refuse_unsigned,
    signatures,
)
from coreml_updatable.publishing.catalogue.site_files import (
    INDEX,
    INDEX_SCHEMA,
    LATEST,
    is_outdated,
    read_index,
    schema_bytes,
    to_bytes,
)

# What differs from run to run although nothing was changed: times, the machine, and the sums of what tells of them.
# Only where a report has them: a label or a kind may be called so too.
OF_A_RUN = frozenset({"seconds", "machine", "other_programs", "versions", "key", "files"})
MEASURED_TIMES = {
    name: frozenset({"update_ms", "embedding_ms", "seconds"}) for name in ("comparison", "new_label", "replay")
}
NAMED_BY_PEOPLE = frozenset({"labels", "refused"})  # whose keys are labels or models


def says_the_same(item: bytes, other: bytes) -> bool:
    """``one`` and ``other``: report.json, both read before."""
    return item == other or _lasting(json.loads(item)) == _lasting(json.loads(other))


def _lasting(report: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without(held, MEASURED_TIMES.get(name, frozenset()))
        for name, held in report.items()
        if name not in OF_A_RUN
    }


def _without(value: Any, times: Set[str]) -> Any:
    if isinstance(value, dict):
        return {
            name: held if name in NAMED_BY_PEOPLE else _without(held, times)
            for name, held in value.items()
            if name not in times
        }
    return [_without(held, times) for held in value] if isinstance(value, list) else value


STAGING = ".staging"
DAYS = 90  # that a signature counts
Signers: TypeAlias = Sequence[Ed25519PrivateKey]
Staged: TypeAlias = dict[tuple[str, str], Release]  # (name, version) -> what was copied aside


@dataclass(frozen=True)
class Published:
    """What a run did: (name, version) of the releases that are new, that were there already, and that were pruned.

    ``kept_reports``: of the unchanged, those whose build by now has another report, or other golden vectors, of
    the same models.
    """

    new: tuple[tuple[str, str], ...]
    unchanged: tuple[tuple[str, str], ...]
    kept_reports: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]
    index: Index


def publish(
    builds: Sequence[Path],
    site: Path,
    *,
    devices: Sequence[Path] = (),
    base_url: str | None = None,
    keep: int | None = None,
    key: Ed25519PrivateKey | Signers | None = None,
    revoked: Sequence[str] = (),
    days: int = DAYS,
    above: int = 0,
    now: datetime | None = None,
    with_examples: bool = False,
) -> Published:
    """Publish the builds into ``site``; on any error the catalogue stays as it was.

    ``devices``: files of what devices answered to the probes.
    ``base_url``: what urls begin with; None leaves it as it is. ``keep``: how many versions of each model stay.
    ``key`` signs the index and latest.json, or several do, whom readers then accept; a catalogue that is signed stays
    so. A key that signs no more must be among ``revoked`` (in base64). What is signed counts for ``days`` from ``now``.
    ``with_examples`` publishes a build's examples.html, too, which shows a user's own pictures.
    The serial is always more than ``above``, that of a catalogue which readers have seen.
    """
    signers = (key,) if isinstance(key, Ed25519PrivateKey) else tuple(key or ())
    answered = read_devices(devices)
    with alone(site, "another publisher", error=CatalogueError, option="--to"):
        old = read_index(site) or Index(serial=0)
        above = max(above, old.serial) if is_outdated(site) else above  # another text needs another serial
        keys = accepted(site, keys_of(site, old), signers, revoked)
        staging = site / STAGING
        remove(staging)
        if unnamed(site, old):  # to which the pages that a killed publisher leaves may still link
            _write_pages(site, old, keys_of(site, old))
        remove_unnamed(site, old)
        try:
            staged, unchanged = _staged(builds, old, site, with_examples)
            grown = _grown(old, staged, [device for device, _ in answered], base_url)
            if signers:
                grown = grown.model_copy(update={"keys": keys})
                grown = expiring(grown, old, days, now or datetime.now(UTC))
            grown = _numbered(old, grown, above)
            kept = grown if keep is None else _numbered(grown, pruned(grown, keep), above)
            for index in (grown, kept):
                refuse_unsigned(site, to_bytes(index), keys, signers)
            newest = {entry.name: (entry, entry.versions[0]) for index in (grown, kept) for entry in index.models}
            expect_shown(site, (item for name, item in newest.items() if (name, item[1].version) not in staged))
            for name, version in staged:
                put_in_place(staging / name / version, site, release_folder(name, version))
            _write_files(site, {device_path(device): content for device, content in answered})
        finally:
            remove(staging)
        _write(site, grown, signers, keys)
        _write(site, kept, signers, keys)
        kept_reports = tuple(known for known, same in unchanged.items() if not same)
        return Published(tuple(staged), tuple(unchanged), kept_reports, remove_dropped(site, grown, kept), kept)


def _grown(old: Index, staged: Staged, devices: Sequence[Device], base_url: str | None) -> Index:
    index = with_devices(old, devices)
    for (name, _), release in staged.items():
        index = added(index, name, release)
    return with_urls(index, old.base_url if base_url is None else base_url)


def _numbered(old: Index, new: Index, above: int) -> Index:
    """``new`` with the next serial, if it is another index than ``old`` or that one's is no more than ``above``."""
    if new == old and old.serial > above:
        return old
    return new.model_copy(update={"serial": max(old.serial, above) + 1})


def _staged(
    builds: Sequence[Path], old: Index, site: Path, with_examples: bool
) -> tuple[Staged, dict[tuple[str, str], bool]]:
    """The releases that are new, copied aside, and which were published before, with whether the report is the same."""
    came_from: dict[str, Path] = {}
    new: Staged = {}
    unchanged = {}
    for index, build in enumerate(builds):
        report, content = read_report(build)
        name = report.name
        if name.casefold() in came_from:
            raise CatalogueError(
                f"{build}: its model is named {name}, like that of {came_from[name.casefold()]}; rename one of them"
            )
        came_from[name.casefold()] = build
        known = published_as(old, report)
        if known is not None:
            verify_build(build, report)
            if with_examples and (build / EXAMPLES).is_file() and EXAMPLES not in {file.file for file in known.files}:
                raise CatalogueError(
                    f"{build}: version {known.version} of {name} was published without examples, and a version never "
                    "changes; raise metadata.version in the recipe and build again, or leave out --with-examples"
                )
            _, published = read_published_report(site / release_folder(name, known.version))
            unchanged[name, known.version] = says_the_same(published, content) and has_the_same_files(known, report)
            continue
        arrived = site / STAGING / f"{index}"
        release = read_release(build, report, content, arrived, with_examples=with_examples)
        refuse_other_bytes(old, name, release)
        put_in_place(arrived, site / STAGING, PurePosixPath(name, release.version))
        new[name, release.version] = release
    return new, unchanged


def _write(site: Path, index: Index, signers: Signers, keys: Sequence[str]) -> None:
    """Write what changed: a signature before the text that it is over, latest.json last."""
    content, latest = to_bytes(index), to_bytes(latest_of(index))
    _write_files(site, {INDEX_SCHEMA: schema_bytes(), **signatures(content, signers, keys), INDEX: content})
    if signers:
        _write_files(site, {PUBLIC_KEY: "".join(f"{key}\n" for key in keys).encode()})
    _write_pages(site, index, keys)
    _write_files(site, {**signatures(latest, signers, keys), LATEST: latest})


def _write_pages(site: Path, index: Index, keys: Sequence[str]) -> None:
    _write_files(site, pages(site, index, keys[0] if keys else None))


def _write_files(site: Path, contents: Mapping[str, bytes]) -> None:
    for name, written in contents.items():
        _write_if_other(inside(site, name), written)


def _write_if_other(path: Path, content: bytes) -> None:
    if not path.is_file() or path.is_symlink() or path.read_bytes() != content:
        write_atomically(path, content)
