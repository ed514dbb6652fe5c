"""The networks that Turi Create's image classifiers stand on, which Apple publishes and nothing here downloads."""

import os
from pathlib import Path

from coreml_updatable.errors import SourceError

PLACE = "https://docs-assets.developer.apple.com/turicreate/models/"
VARIABLE = "TURICREATE_PRETRAINED"
NAMES = {"resnet-50": "resnet-50-TuriCreate-6.0", "squeezenet_v1.1": "squeezenet_v1.1-TuriCreate-6.0"}


def pretrained_folder() -> Path:
    """Where they are kept: what ``TURICREATE_PRETRAINED`` names, else a folder of the user's cache."""
    named = os.environ.get(VARIABLE)
    return Path(named).absolute() if named else Path.home() / ".cache" / "coreml_updatable" / "turicreate"


def expect_pretrained(network: str, endings: tuple[str, ...], what: str) -> None:
    """A SourceError with the address and the place of the first of ``network``'s files that is not there."""
    for ending in endings:
        path = pretrained_folder() / f"{NAMES[network]}{ending}"
        if not path.is_file():
            raise SourceError(
                f"{what}: needs the pretrained network {path.name}, which is not here; download {PLACE}{path.name} "
                f"and put it at {path}"
            )


def link_pretrained(cache: Path) -> None:
    """Lets a private ``cache`` of Turi Create's hold the files that are kept."""
    cache.mkdir()
    folder = pretrained_folder()
    if folder.is_dir():
        (cache / "model_cache").symlink_to(folder, target_is_directory=True)
