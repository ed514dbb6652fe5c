"""A signed catalogue, served on a port of this machine."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from coreml_updatable.publishing.catalogue.publish import publish
from coreml_updatable.publishing.catalogue.signing import make_keys, read_private_key
from coreml_updatable.publishing.serving import listen, server
from tests.publishing.catalogue.conftest import make_build, site

__all__ = ["make_build", "site"]


@dataclass(frozen=True)
class Served:
    site: Path
    port: int
    key: Ed25519PublicKey
    publish: Callable[[str], None]  # a version

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@pytest.fixture
def served(make_build: Callable[..., Path], site: Path, tmp_path: Path) -> Iterator[Served]:
    make_keys(tmp_path / "key")
    key = read_private_key(tmp_path / "key", site)

    def publish_version(version: str) -> None:
        publish([make_build("Luncher", version)], site, key=key)

    publish_version("1.0")
    running, listening = server(site), listen("127.0.0.1", 0)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield Served(site, int(listening.getsockname()[1]), key.public_key(), publish_version)
    running.should_exit = True
    thread.join(timeout=20)
    listening.close()
