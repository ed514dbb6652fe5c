"""Download pretrained weights from torchvision and timm into torch's cache."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from coreml_updatable.errors import SourceError

from .._shared.wording import first_line
from . import packaged_weights
from .architectures import import_library, published_weights, split_architecture
from .weights import State, read_state

TIMEOUT = 30.0  # seconds without an answer


def downloaded_state(architecture: str, tag: str = "") -> State:
    """The architecture's published weights, from an installed package where they come in one.

    A SourceError names the file where it cannot be had.

    ``tag`` names one of torchvision's sets, the newest if it is empty; timm's are part of the architecture's name.
    """
    if packaged_weights.is_packaged(architecture):
        return packaged_weights.packaged_state(architecture)
    library, name = split_architecture(architecture)
    url, file_name, checksum = _timm_place(name) if library == "timm" else _torchvision_place(name, tag)
    if url is None:
        raise SourceError(f"{library} publishes no weights for {name}; use a weights file, or another name")
    path = Path(torch.hub.get_dir()) / "checkpoints" / file_name
    if not path.is_file():
        _download(url, path, checksum)
    return read_state(path)


def _torchvision_place(name: str, tag: str) -> tuple[str | None, str, str | None]:
    """Return the URL, the file name and the beginning of the SHA-256 (torch writes it into the name)."""
    weights = published_weights(name, tag)
    if weights is None:
        return None, "", None
    file_name = Path(weights.url).name
    return weights.url, file_name, file_name.removesuffix(".pth").rpartition("-")[2]


def _timm_place(name: str) -> tuple[str | None, str, str | None]:
    config = import_library("timm").get_pretrained_cfg(name)
    if config is None or not (config.hf_hub_id or config.url):
        return None, "", None
    if not config.hf_hub_id:
        return config.url, Path(config.url).name, None
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    file = config.hf_hub_filename or "model.safetensors"
    return f"{hub}/{config.hf_hub_id}/resolve/main/{file}", f"{Path(config.hf_hub_id).name}-{file}", None


def _download(url: str, path: Path, checksum: str | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _impatient():
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=checksum, progress=False)
        except Exception as error:  # of the network, the file system or the checksum
            raise SourceError(
                f"{url} cannot be downloaded ({first_line(error)}); download it elsewhere and put it at {path}, or "
                'name the file: --weights file (convert), WEIGHTS=file (make), or weights = "file" in [source]'
            ) from error


@contextmanager
def _impatient() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
