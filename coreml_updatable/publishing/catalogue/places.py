"""Folders of a catalogue put in place and removed, whole, and nothing outside it."""

import re
import shutil
from pathlib import Path, PurePosixPath

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.index import Index, device_path
from coreml_updatable.publishing.catalogue.names import DEVICE_FILE, DEVICES, MODELS, NAME, is_version, release_folder


def inside(site: Path, place: PurePosixPath | str) -> Path:
    """``place`` beneath ``site``; a CatalogueError if a link leads out of it."""
    path = site / place
    if not path.parent.resolve().is_relative_to(site.resolve()):
        raise CatalogueError(f"{path}: is a link to a place outside the catalogue, expected a folder; remove the link")
    return path


def put_in_place(arrived: Path, site: Path, place: PurePosixPath) -> None:
    """Rename a whole folder to ``place``; what is there already was named by no index."""
    path = inside(site, place)
    remove(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrived.rename(path)


def named(index: Index) -> set[tuple[str, str]]:
    """(name, version) of every release."""
    return {(entry.name, release.version) for entry in index.models for release in entry.versions}


def remove_dropped(site: Path, before: Index, after: Index) -> tuple[tuple[str, str], ...]:
    """Remove the releases that ``after`` no longer names, and say which they were."""
    gone = sorted(named(before) - named(after))
    for name, version in gone:
        remove(inside(site, release_folder(name, version)))
    return tuple(gone)


def unnamed(site: Path, index: Index) -> list[Path]:
    """Folders of releases and files of devices that ``index`` does not name: what a killed publisher leaves."""
    known, devices = named(index), {device_path(device) for device in index.devices}
    return [
        path
        for path in sorted((site / DEVICES).glob("*.json"))
        if re.fullmatch(DEVICE_FILE, path.name) and f"{DEVICES}/{path.name}" not in devices
    ] + [
        path
        for path in sorted((site / MODELS).glob("*/*"))
        if re.fullmatch(NAME, path.parent.name) and is_version(path.name) and (path.parent.name, path.name) not in known
    ]


def remove_unnamed(site: Path, index: Index) -> None:
    """Clear up behind a killed publisher: unnamed releases, and files that were never finished."""
    for path in (
        *unnamed(site, index),
        *site.glob(".*.part"),
        *site.glob(f"{MODELS}/*/.*.part"),
        *site.glob(f"{DEVICES}/.*.part"),
    ):
        remove(inside(site, path.relative_to(site).as_posix()))


def remove(path: Path) -> None:
    """Remove a folder, or the link or file in its place; a link is never followed."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
