"""The reference client against the real server."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.publishing.serving.client import Client, UntrustedError
from tests.publishing.serving.conftest import Served

FILE = "Luncher.mlmodel"


def path_of(served: Served, version: str = "1.0") -> Path:
    return served.site / f"models/Luncher/{version}/{FILE}"


def test_it_finds_the_newest_version(served: Served) -> None:
    client = Client(served.address, served.key)
    assert client.newest("Luncher") == "1.0"
    assert client.fetch("Luncher", FILE) == path_of(served).read_bytes()
    served.publish("1.1")
    assert client.newest("Luncher") == "1.1"
    assert client.fetch("Luncher", FILE) == path_of(served, "1.1").read_bytes()


def test_a_broken_download_goes_on(served: Served) -> None:
    client = Client(served.address, served.key, breaks=1000)
    content = path_of(served).read_bytes()
    assert client.fetch("Luncher", FILE) == content
    ranges = [asked for path, asked in client.requests if path.endswith(FILE)]
    assert ranges == [None, *(f"bytes={start}-" for start in range(1000, len(content), 1000))]


def test_a_tampered_model_is_refused(served: Served) -> None:
    content = bytearray(path_of(served).read_bytes())
    content[100] ^= 1
    path_of(served).write_bytes(content)
    with pytest.raises(UntrustedError, match=FILE):
        Client(served.address, served.key).fetch("Luncher", FILE)


def test_a_tampered_index_is_refused(served: Served) -> None:
    index = served.site / "index.json"
    index.write_text(index.read_text().replace('"serial": 1', '"serial": 9'))
    with pytest.raises(UntrustedError, match=r"signatures/.* is missing"):
        Client(served.address, served.key).fetch("Luncher", FILE)


def test_another_publisher_is_refused(served: Served) -> None:
    with pytest.raises(UntrustedError, match=r"index\.json"):
        Client(served.address, Ed25519PrivateKey.generate().public_key()).index()
