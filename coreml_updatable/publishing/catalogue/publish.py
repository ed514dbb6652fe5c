"""Publishing: releases are copied aside and put in place whole, then the index, and latest.json last.

A reader, and whoever finds the catalogue of a killed publisher, sees nothing named before it is there: every state is
the old catalogue or the new one, at most with files that no index names yet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coreml_updatable.errors import CatalogueError
from coreml_updatable.files import write_atomically
from coreml_updatable.publishing.catalogue.alone import publishing_alone
from coreml_updatable.publishing.catalogue.build_report import read_report
from coreml_updatable.publishing.catalogue.index import Index, Release, latest_of
from coreml_updatable.publishing.catalogue.merging import added, pruned, published_as, refuse_other_bytes, with_urls
from coreml_updatable.publishing.catalogue.names import release_folder
from coreml_updatable.publishing.catalogue.pages import pages
from coreml_updatable.publishing.catalogue.places import (
    inside,
    put_in_place,
    remove,
    remove_dropped,
    remove_unnamed,
    unnamed,
)
from coreml_updatable.publishing.catalogue.release import read_release, verify_build
from coreml_updatable.publishing.catalogue.same_report import says_the_same
from coreml_updatable.publishing.catalogue.signing import public_key_of, refuse_other_key, signed_files
from coreml_updatable.publishing.catalogue.site_files import (
    INDEX,
    INDEX_SCHEMA,
    LATEST,
    read_index,
    schema_bytes,
    to_bytes,
)

STAGING = ".staging"
Staged: TypeAlias = dict[tuple[str, str], Release]  # (name, version) -> what was copied aside


@dataclass(frozen=True)
class Published:
    """What a run did: (name, version) of the releases that are new, that were there already, and that were pruned.

    ``kept_reports``: of the unchanged, those whose build by now reports something else of the same models.
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
    base_url: str | None = None,
    keep: int | None = None,
    key: Ed25519PrivateKey | None = None,
) -> Published:
    """Publish the builds into ``site``; on any error the catalogue stays as it was.

    ``base_url``: what urls begin with; None leaves it as it is. ``keep``: how many versions of each model stay.
    ``key`` signs the index; a catalogue that is signed stays so, with the same key.
    """
    with publishing_alone(site):
        old = read_index(site) or Index()
        staging = site / STAGING
        remove(staging)
        if unnamed(site, old):  # to which the pages that a killed publisher leaves may still link
            _write_pages(site, old, None)
        remove_unnamed(site, old)
        try:
            staged, unchanged = _staged(builds, old, site)
            grown = _numbered(old, _grown(old, staged, base_url))
            kept = grown if keep is None else _numbered(grown, pruned(grown, keep))
            for index in (grown, kept):
                refuse_other_key(site, to_bytes(index), key)
            for name, version in staged:
                put_in_place(staging / name / version, site, release_folder(name, version))
        finally:
            remove(staging)
        _write(site, grown, key)
        _write(site, kept, key)
        kept_reports = tuple(known for known, same in unchanged.items() if not same)
        return Published(tuple(staged), tuple(unchanged), kept_reports, remove_dropped(site, grown, kept), kept)


def _grown(old: Index, staged: Staged, base_url: str | None) -> Index:
    index = old
    for (name, _), release in staged.items():
        index = added(index, name, release)
    return with_urls(index, old.base_url if base_url is None else base_url)


def _numbered(old: Index, new: Index) -> Index:
    """``new`` with the next serial, if it is another index than ``old``."""
    return old if new == old else new.model_copy(update={"serial": old.serial + 1})


def _staged(builds: Sequence[Path], old: Index, site: Path) -> tuple[Staged, dict[tuple[str, str], bool]]:
    """The releases that are new, copied aside, and which were published before, with whether the report is the same."""
    came_from: dict[str, Path] = {}
    new: Staged = {}
    unchanged = {}
    for number, build in enumerate(builds):
        report, content = read_report(build)
        name = report.name
        if name.casefold() in came_from:
            raise CatalogueError(
                f"{build}: its model is called {name}, as that of {came_from[name.casefold()]} is; rename one"
            )
        came_from[name.casefold()] = build
        known = published_as(old, report)
        if known is not None:
            verify_build(build, report)
            _, published = read_report(site / release_folder(name, known.version))
            unchanged[name, known.version] = says_the_same(published, content)
            continue
        arrived = site / STAGING / f"{number}"
        release = read_release(build, report, content, arrived)
        refuse_other_bytes(old, name, release)
        put_in_place(arrived, site / STAGING, PurePosixPath(name, release.version))
        new[name, release.version] = release
    return new, unchanged


def _write(site: Path, index: Index, key: Ed25519PrivateKey | None) -> None:
    """Write what changed: the signature before the index it belongs to, latest.json last."""
    content = to_bytes(index)
    before, after = signed_files(content, key)
    _write_files(site, {INDEX_SCHEMA: schema_bytes(), **before, INDEX: content, **after})
    _write_pages(site, index, key)
    _write_files(site, {LATEST: to_bytes(latest_of(index))})


def _write_pages(site: Path, index: Index, key: Ed25519PrivateKey | None) -> None:
    _write_files(site, pages(site, index, public_key_of(site, key)))


def _write_files(site: Path, contents: Mapping[str, bytes]) -> None:
    for name, written in contents.items():
        _write_if_other(inside(site, name), written)


def _write_if_other(path: Path, content: bytes) -> None:
    if not path.is_file() or path.is_symlink() or path.read_bytes() != content:
        write_atomically(path, content)
