"""Report the pretrained networks that Turi Create would download."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlparse


class PretrainedMissing(Exception):  # noqa: N818 - no error of a program
    """``args[0]`` is the URL of the missing file."""


def forbid_downloads() -> None:
    """Use the file in the cache, like Turi Create; raise PretrainedMissing if there is none."""
    from turicreate.toolkits import _pre_trained_models

    _pre_trained_models._download_and_checksum_files = _kept


def _kept(urls: Any, folder: str, delete: bool = False) -> list[str]:
    assert not delete
    addresses = [url[0] if isinstance(url, tuple) else url for url in urls]
    paths = [os.path.join(folder, os.path.basename(urlparse(address).path)) for address in addresses]  # noqa: PTH118, PTH119
    for address, path in zip(addresses, paths):  # noqa: B905 - Python 3.8
        if not os.path.exists(path):  # noqa: PTH110
            raise PretrainedMissing(address)
    return paths
