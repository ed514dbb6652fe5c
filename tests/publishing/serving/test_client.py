"""The reference client against the real server."""

import socket
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue import client as reading
from coreml_updatable.publishing.catalogue.index import Latest
from coreml_updatable.publishing.catalogue.signing import public_text
from coreml_updatable.publishing.catalogue.site_files import parse
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
    with pytest.raises(UntrustedError, match="is not signed by a trusted key"):
        Client(served.address, served.key).fetch("Luncher", FILE)


def test_another_publisher_is_refused(served: Served) -> None:
    with pytest.raises(UntrustedError, match=r"index\.json"):
        Client(served.address, Ed25519PrivateKey.generate().public_key()).index()


def test_it_remembers_from_one_run_to_the_next(served: Served, tmp_path: Path) -> None:
    old = {path: path.read_bytes() for path in served.site.rglob("*.json")}
    served.publish("1.1")
    state = tmp_path / "state.json"
    assert Client(served.address, served.key, state=state).newest("Luncher") == "1.1"
    for path, content in old.items():  # the signatures are there still
        path.write_bytes(content)
    with pytest.raises(UntrustedError, match="someone is withholding a newer version"):
        Client(served.address, served.key, state=state).newest("Luncher")
    with pytest.raises(UntrustedError, match="someone is withholding a newer version"):
        Client(served.address, served.key, state=state).index()
    assert Client(served.address, served.key).newest("Luncher") == "1.0"  # who never saw the newer one
    state.write_text("{}")
    with pytest.raises(CatalogueError, match="is not the stored state of a catalogue reader"):
        Client(served.address, served.key, state=state)


def test_an_expired_index_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(served.address, served.key)
    later = client.now() + timedelta(days=91)
    monkeypatch.setattr(Client, "now", lambda _: later)
    for call in (client.index, lambda: client.newest("Luncher"), lambda: client.fetch("Luncher", FILE)):
        with pytest.raises(UntrustedError, match="expired at"):
            call()


def test_nothing_huge_is_read(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coreml_updatable.publishing.catalogue.client.MAXIMUM_BYTES", 1000)
    with pytest.raises(UntrustedError, match=r"index\.json.*is larger than 1000 bytes"):
        Client(served.address, served.key).index()
    with path_of(served).open("ab") as file:
        file.truncate(2**30)
    monkeypatch.undo()
    with pytest.raises(UntrustedError, match="is larger than"):
        Client(served.address, served.key).fetch("Luncher", FILE)


def test_a_server_that_is_not_there(served: Served) -> None:
    with pytest.raises(UntrustedError, match="cannot be downloaded"):
        Client("http://127.0.0.1:9/", served.key).index()
    with pytest.raises(CatalogueError, match="has no model 'Nobody'"):
        Client(served.address, served.key).newest("Nobody")
    with pytest.raises(CatalogueError, match="has no file 'none'"):
        Client(served.address, served.key).fetch("Luncher", "none")


@pytest.mark.parametrize("begins", [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"HTTP/1.1 200 OK\r\nServer: "])
def test_a_server_that_trickles_is_given_up(served: Served, begins: bytes) -> None:
    """A byte now and then, of the body or of a header, for as long as somebody listens."""
    listening, gone = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def trickle() -> None:
        line, _ = listening.accept()
        with line:
            line.recv(65536)
            try:
                line.sendall(begins)
                while not gone.wait(0.02):
                    line.sendall(b"x")
            except OSError:
                gone.set()

    server = threading.Thread(target=trickle)
    server.start()
    site = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    with pytest.raises(
        CatalogueError, match=r"not downloaded within 0\.3 seconds; try again, or pass a longer deadline"
    ):
        reading.Client(site, (public_text(served.key),), deadline=0.3).index()
    assert gone.wait(10)
    server.join()
    listening.close()


@pytest.mark.parametrize(
    "content", [b'{"models": {' + b'"a":"1",' * 2_100_000 + b"}}", b"[" + b"{}," * 2_100_000 + b"{}]"]
)
def test_millions_of_values_are_refused_before_they_are_parsed(content: bytes) -> None:
    with pytest.raises(CatalogueError, match="values, expected at most 4000000; split it into several catalogues"):
        parse(content, "latest.json", Latest)
