"""Keys, signatures and expiry at the values where the answer changes, and one step beyond."""

import base64
import hashlib
import http.client
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue import client, site_files
from coreml_updatable.publishing.catalogue.client import Client, Trust, UntrustedError, trusted_index
from coreml_updatable.publishing.catalogue.index import MOST_KEYS, SCHEMA, Index, Latest
from coreml_updatable.publishing.catalogue.signing import (
    accepted,
    expiring,
    moment,
    public_text,
    read_public_keys,
    signature_place,
    signatures,
)
from coreml_updatable.publishing.catalogue.site_files import parse, parse_file, to_bytes

NOW = datetime(2030, 1, 1, tzinfo=UTC)
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([index]) * 32) for index in range(1, MOST_KEYS + 2)]
TEXTS = [public_text(key.public_key()) for key in KEYS]
SECOND = timedelta(seconds=1)


def test_an_index_counts_until_the_second_of_its_expiry() -> None:
    content = to_bytes(Index(serial=1, expires="2030-01-01T00:00:00Z", keys=(TEXTS[0],)))
    trust = Trust((TEXTS[0],))
    assert trusted_index(content, signatures(content, KEYS[:1], TEXTS[:1]).get, trust, NOW - SECOND)[0].serial == 1
    with pytest.raises(UntrustedError, match="expired at"):
        trusted_index(content, signatures(content, KEYS[:1], TEXTS[:1]).get, trust, NOW)


@pytest.mark.parametrize(
    ("left", "renewed"),
    [
        (timedelta(days=5), False),  # half of it
        (timedelta(days=5) - SECOND, True),
        (timedelta(days=10), False),  # all of it
        (timedelta(days=10) + SECOND, True),  # more than is asked for
        (timedelta(0), True),
    ],
)
def test_an_index_is_renewed_once_less_than_half_of_its_time_is_left(left: timedelta, renewed: bool) -> None:
    old = Index(serial=1, keys=(TEXTS[0],), expires=f"{NOW + left:%Y-%m-%dT%H:%M:%SZ}")
    new = expiring(old, old, 10, NOW)
    assert (new.expires == "2030-01-11T00:00:00Z") == (renewed or left == timedelta(days=10))
    assert (new == old) == (not renewed)


def test_an_index_that_changed_is_renewed() -> None:
    old = Index(serial=1, keys=(TEXTS[0],), expires="2030-01-09T00:00:00Z")
    new = old.model_copy(update={"serial": 2})
    assert expiring(old, old, 10, NOW) == old
    assert expiring(new, old, 10, NOW).expires == "2030-01-11T00:00:00Z"
    assert expiring(Index(serial=1), Index(serial=1), 10, NOW).expires == "2030-01-11T00:00:00Z"  # never signed yet


def test_a_day_that_no_calendar_has_is_long_past() -> None:
    assert moment("2030-02-31T00:00:00Z") < datetime(2000, 1, 1, tzinfo=UTC)
    assert moment("2030-02-28T00:00:00Z") == datetime(2030, 2, 28, tzinfo=UTC)


def test_the_most_keys(tmp_path: Path) -> None:
    assert accepted(tmp_path, [], KEYS[:MOST_KEYS], []) == tuple(TEXTS[:MOST_KEYS])
    with pytest.raises(CatalogueError, match=rf"{MOST_KEYS + 1} keys, expected at most {MOST_KEYS}"):
        accepted(tmp_path, [], KEYS, [])


def test_the_order_of_keys_is_that_of_the_catalogue_and_none_comes_twice(tmp_path: Path) -> None:
    assert accepted(tmp_path, [TEXTS[2]], [KEYS[0], KEYS[2], KEYS[0]], []) == (TEXTS[2], TEXTS[0])
    assert accepted(tmp_path, [TEXTS[2], TEXTS[1]], [KEYS[0], KEYS[2]], [TEXTS[1]]) == (TEXTS[2], TEXTS[0])
    assert accepted(tmp_path, TEXTS[:2], [], []) == tuple(TEXTS[:2])
    for revoked in (TEXTS[3], TEXTS[0]):  # never accepted; still signing
        with pytest.raises(CatalogueError, match="--revoke"):
            accepted(tmp_path, TEXTS[:1], KEYS[:1], [revoked])


def test_signatures_lie_where_their_sums_say() -> None:
    content = b"text"
    result = signatures(content, KEYS[:2], [TEXTS[1], TEXTS[0]])
    total = hashlib.sha256(content).hexdigest()
    short = [hashlib.sha256(base64.b64decode(text)).hexdigest()[:16] for text in TEXTS[:2]]
    places = [f"signatures/{total}.{short[0]}.sig", f"signatures/{total}.{short[1]}.sig", f"signatures/{total}.sig"]
    assert set(result) == set(places)
    assert result[places[2]] == result[places[1]] != result[places[0]]  # that of the first accepted key
    assert [signature_place(content, text) for text in TEXTS[:2]] + [signature_place(content)] == places
    assert signatures(content, [], TEXTS[:1]) == {}


def test_files_at_their_largest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys"
    path.write_text(f"{TEXTS[0]}\n{TEXTS[1]}\n".ljust(10_000))
    assert read_public_keys(path) == tuple(TEXTS[:2])
    path.write_text(f"{TEXTS[0]}\n".ljust(10_001))
    with pytest.raises(CatalogueError, match="is not a small file"):
        read_public_keys(path)
    content = to_bytes(Latest(serial=1, models={}))
    (tmp_path / "latest.json").write_bytes(content)
    monkeypatch.setattr(site_files, "MAXIMUM_BYTES", len(content))
    assert parse_file(tmp_path / "latest.json", Latest).serial == 1
    monkeypatch.setattr(site_files, "MAXIMUM_BYTES", len(content) - 1)
    with pytest.raises(CatalogueError, match="is larger than"):
        parse_file(tmp_path / "latest.json", Latest)


@pytest.mark.parametrize(
    ("schema", "remedy"),
    [(SCHEMA + 1, "newer"), (0, "restore"), (True, "restore"), ("1", "restore"), (None, "restore"), (1.5, "restore")],
)
def test_other_schemas(schema: object, remedy: str) -> None:
    with pytest.raises(CatalogueError, match=rf"latest.json: has the schema .*{remedy}"):
        parse(json.dumps({"schema": schema}).encode(), "latest.json", Latest)


class Broken(Client):
    """A server that gives ``content`` in pieces of ``size`` bytes."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__("http://127.0.0.1", (TEXTS[0],))
        self.content, self.size, self.asked = content, size, list[str]()

    def request(self, url: str, headers: dict[str, str], most: int, end: float) -> tuple[int, str, bytes, bool]:
        assert (url, end > 0) == ("file", True)
        self.asked.append(headers.get("Range", ""))
        start = int(headers["Range"].removeprefix("bytes=").removesuffix("-")) if headers else 0
        piece = self.content[start : start + self.size][: most + 1]
        return 206 if headers else 200, "tag", piece, start + len(piece) == len(self.content)


def test_a_download_in_pieces_up_to_the_most_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(100))
    server = Broken(content, 40)
    assert server.get("file", 100) == content
    assert server.asked == ["", "bytes=40-", "bytes=80-"]
    for size in (40, 100):
        with pytest.raises(UntrustedError, match="is larger than 99 bytes"):
            Broken(content, size).get("file", 99)
    monkeypatch.setattr(client, "TRIES", 3)
    assert Broken(content, 34).get("file", 100) == content
    with pytest.raises(UntrustedError, match="its download keeps failing"):
        Broken(content, 33).get("file", 100)


def test_addresses() -> None:
    for site in ("ftp://host/", "file:///etc/", "http://", "host/", "http://[x/", "http://host:99999/"):
        with pytest.raises(UntrustedError, match="expected an http or https URL"):
            Client(site, (TEXTS[0],)).get("index.json", 10)
    with pytest.raises(UntrustedError, match="cannot be downloaded"):
        Client("http://127.0.0.1:9/\u00fc/", (TEXTS[0],)).get("index.json", 10)
    for key in ("", "AAAA", "no base64", "\u00fc"):
        with pytest.raises(CatalogueError, match="is not a public key"):
            Client("http://host/", (key,))
    with pytest.raises(CatalogueError, match="is not the stored state of a catalogue reader"):
        Client("http://host/", (TEXTS[0],), Path("/"))
    for given in ("http://host/a", "http://host/a/"):
        assert Client(given, ()).site == "http://host/a/"


def test_a_length_of_thousands_of_digits_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Socket:
        """Answers every request with ``LENGTH`` as the length of two bytes."""

        def makefile(self, *_: object) -> io.BytesIO:
            return io.BytesIO(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nab")

        def sendall(self, _: bytes) -> None:
            pass

        def close(self) -> None:
            pass

    monkeypatch.setattr(http.client.HTTPConnection, "connect", lambda self: setattr(self, "sock", Socket()))
    monkeypatch.setattr(client, "TRIES", 2)
    with pytest.raises(UntrustedError, match="its download keeps failing"):
        Client("http://host/", (TEXTS[0],)).get("index.json", 10)
