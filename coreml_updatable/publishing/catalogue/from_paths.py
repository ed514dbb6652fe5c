"""Publish and check a catalogue whose builds, keys and device results are given as paths."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.build_report import never_learns
from coreml_updatable.publishing.catalogue.check_site import Checked, check_site, previous_index
from coreml_updatable.publishing.catalogue.merging import valid_base_url
from coreml_updatable.publishing.catalogue.publish import DAYS, Published
from coreml_updatable.publishing.catalogue.publish import publish as publish_builds
from coreml_updatable.publishing.catalogue.signing import read_private_key, read_public_key, read_public_keys

AnyPath = str | PathLike[str]


def publish(
    builds: Sequence[AnyPath],
    to: AnyPath,
    *,
    device_results: Sequence[AnyPath] = (),
    base_url: str | None = None,
    keep: int | None = None,
    sign: Sequence[AnyPath] = (),
    revoke: Sequence[AnyPath] = (),
    valid_days: int = DAYS,
    previous: AnyPath | None = None,
    with_examples: bool = False,
) -> Published:
    """Publish builds as immutable versions into the catalogue ``to``; on any error the catalogue stays as it was.

    Args:
        builds: folders that a build wrote. A model that is not updatable is left out.
        device_results: files of what devices answered to the probes.
        base_url: URL of the catalogue; None leaves it as it is, and relative at first.
        keep: the number of versions to keep of each model.
        sign: files of private keys; all of them are accepted then. A catalogue that is signed stays signed.
        revoke: files of public keys that readers must no longer accept.
        valid_days: days until the signature expires.
        previous: the catalogue that readers have now, its folder or index.json: the new serial is higher.
        with_examples: also publish the page of a build that shows a user's own pictures.

    Raises CatalogueError.
    """
    site, folders = Path(to), [Path(build) for build in builds]
    learning = [build for build in folders if not never_learns(build)]
    if folders and not learning:
        raise CatalogueError(
            f"{folders[0]}: its model is not updatable, expected one that is, a catalogue holds no other; "
            "name another build"
        )
    return publish_builds(
        learning,
        site,
        devices=[Path(path) for path in device_results],
        base_url=valid_base_url(base_url) if base_url else base_url,
        keep=keep,
        key=[read_private_key(Path(path), site) for path in sign],
        revoked=[key for path in revoke for key in read_public_keys(Path(path))],
        days=valid_days,
        above=0 if previous is None else previous_index(Path(previous)).serial,
        with_examples=with_examples,
    )


def check_catalogue(site: AnyPath, *, public_keys: Sequence[AnyPath] = (), previous: AnyPath | None = None) -> Checked:
    """Return the faults of a catalogue: every file and its sum, every link, and the signature.

    ``public_keys``: files of keys that must have signed. ``previous``: the catalogue that readers have now. Raises
    CatalogueError for a folder that is not a catalogue.
    """
    keys = [read_public_key(Path(path)) for path in public_keys]
    return check_site(Path(site), keys, None if previous is None else Path(previous))
