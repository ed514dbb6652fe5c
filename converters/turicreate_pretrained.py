"""The networks that Turi Create's classifiers of pictures stand on: Apple publishes them, nothing here downloads."""

import os
from pathlib import Path

from coreml_updatable.errors import SourceError

VARIABLE = "TURICREATE_PRETRAINED"


def pretrained_folder() -> Path:
    """Where they are kept: what ``TURICREATE_PRETRAINED`` names, else a folder of the user's cache."""
    named = os.environ.get(VARIABLE)
    return Path(named).absolute() if named else Path.home() / ".cache" / "coreml_updatable" / "turicreate"


def missing_pretrained(address: str, what: str) -> SourceError:
    name = address.rpartition("/")[2]
    return SourceError(
        f"{what}: needs the pretrained network {name}, which is not here; download {address} and put it at "
        f"{pretrained_folder() / name}"
    )


def link_pretrained(cache: Path) -> None:
    """Lets a private ``cache`` of Turi Create's hold the files that are kept."""
    cache.mkdir()
    folder = pretrained_folder()
    if folder.is_dir():
        (cache / "model_cache").symlink_to(folder, target_is_directory=True)
