"""An index with releases added or old ones left out: values in, values out."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.build_report import BuildReport
from coreml_updatable.publishing.catalogue.index import (
    MOST_DEVICES,
    Device,
    Entry,
    File,
    Index,
    Release,
    device_path,
    path_of,
)
from coreml_updatable.publishing.catalogue.names import MODELS, version_key
from coreml_updatable.publishing.catalogue.release import has_the_models


def refuse_other_bytes(index: Index, name: str, release: Release) -> None:
    """A CatalogueError if the name or version of ``release``, which is not published yet, belongs to other bytes."""
    entry = index.entry(name)
    if entry is None:
        return
    if entry.name != name:
        raise CatalogueError(
            f"{name}: differs only in case from {entry.name}, which the catalogue contains; rename one of them"
        )
    for old in entry.versions:
        if version_key(old.version) == version_key(release.version):
            raise CatalogueError(
                f"{name} {release.version}: is already published as {old.version} with other bytes, and a version "
                "never changes; raise metadata.version in the recipe and build again"
            )


def published_as(index: Index, report: BuildReport) -> Release | None:
    """The release that holds the very models of the build that ``report`` is of, if there is one."""
    entry = index.entry(report.name)
    if entry is None or entry.name != report.name:
        return None
    return next((release for release in entry.versions if has_the_models(release, report)), None)


def added(index: Index, name: str, release: Release) -> Index:
    """``index`` with ``release``; the newest version of a model is the highest, not the last that was published."""
    entry = index.entry(name)
    versions = sorted((*(entry.versions if entry else ()), release), key=_key, reverse=True)
    return _with(index, _entry(name, versions))


def with_devices(index: Index, devices: Sequence[Device]) -> Index:
    """Return ``index`` with ``devices`` among those that it has; a CatalogueError where there are too many."""
    all_devices = {device.file: device for device in (*index.devices, *devices)}
    if len(all_devices) > MOST_DEVICES:
        raise CatalogueError(
            f"--device-results: the catalogue would have {len(all_devices)} device files, expected at most "
            f"{MOST_DEVICES}; publish fewer"
        )
    return index.model_copy(update={"devices": tuple(all_devices[file] for file in sorted(all_devices))})


def pruned(index: Index, keep: int) -> Index:
    """``index`` with the newest ``keep`` versions of each model."""
    for entry in index.models:
        index = _with(index, _entry(entry.name, entry.versions[:keep]))
    return index


def with_urls(index: Index, base_url: str) -> Index:
    """``index`` with every url under ``base_url``."""
    models = tuple(
        entry.model_copy(
            update={"versions": tuple(_addressed(entry.name, version, base_url) for version in entry.versions)}
        )
        for entry in index.models
    )
    devices = tuple(device.model_copy(update={"url": f"{base_url}{device_path(device)}"}) for device in index.devices)
    return index.model_copy(update={"base_url": base_url, "models": models, "devices": devices})


def valid_base_url(text: str) -> str:
    """``text`` ending in a slash; a CatalogueError if it is no address that paths can be put behind."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
        good = good and parts.port is not False and parts.username is None
    except ValueError:
        good = False
    if not good or not text.isascii() or not text.isprintable() or " " in text:
        raise CatalogueError(f"--base-url {text!r:.200}: expected a URL such as https://example.org/models/")
    return text if text.endswith("/") else f"{text}/"


def _addressed(name: str, release: Release, base_url: str) -> Release:
    def addressed(files: Sequence[File]) -> tuple[File, ...]:
        return tuple(
            file.model_copy(update={"url": f"{base_url}{path_of(name, release.version, file)}"}) for file in files
        )

    return release.model_copy(update={"models": addressed(release.models), "files": addressed(release.files)})


def _entry(name: str, versions: Sequence[Release]) -> Entry:
    page = f"{MODELS}/{name}/index.html"
    return Entry(name=name, latest=versions[0].version, page=page, versions=tuple(versions))


def _with(index: Index, entry: Entry) -> Index:
    others = [model for model in index.models if model.name != entry.name]
    models = sorted([*others, entry], key=lambda item: item.name.casefold())
    return index.model_copy(update={"models": tuple(models)})


def _key(release: Release) -> tuple[int, ...]:
    return version_key(release.version)
