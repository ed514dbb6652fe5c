"""What a reader of a catalogue does before it believes anything: what the Swift in an app has to do as well.

An index counts if a key that the reader trusts signed it, it has not expired, and it is not older than one that the
reader has seen. It then names the keys that count from now on. latest.json counts by the same rules.
"""

import hashlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from coreml_updatable.errors import CatalogueError, quoted
from coreml_updatable.files import write_atomically
from coreml_updatable.publishing.catalogue.index import File, Index, Latest, Signed
from coreml_updatable.publishing.catalogue.signing import SIGNATURE_BYTES, Read, moment, public_key_of, signed_by
from coreml_updatable.publishing.catalogue.site_files import INDEX, LATEST, MAXIMUM_BYTES, parse

TIMEOUT = 20  # seconds without a byte
DEADLINE = 900.0  # seconds for a whole file
PIECE = 1 << 16  # bytes
TRIES = 1000  # of one file

Text = TypeVar("Text", bound=Signed)


class UntrustedError(CatalogueError):
    """What was fetched is not what its publisher signed, or is no longer."""


@dataclass(frozen=True)
class Trust:
    """What a reader knows: the keys it accepts (base64), the highest serial that it saw, and the sum of that index."""

    keys: tuple[str, ...]
    serial: int = 0
    index: str = ""  # "": no index of that serial was seen yet, only a latest.json


def trusted_index(content: bytes, read: Read, trust: Trust, now: datetime) -> tuple[Index, Trust]:
    """The index in ``content``, and what is known from now on; UntrustedError if it is not to be believed.

    ``read`` gives what lies at a place of the catalogue, None for nothing; only signatures are asked for.
    """
    index = _trusted(content, INDEX, Index, read, trust, now)
    total = hashlib.sha256(content).hexdigest()
    if index.serial == trust.serial and trust.index not in ("", total):
        raise UntrustedError(
            f"{INDEX}: differs from the one with the serial {index.serial} that was seen before; do not trust it"
        )
    return index, Trust(index.keys, index.serial, total)


def trusted_latest(content: bytes, read: Read, trust: Trust, now: datetime) -> tuple[Latest, Trust]:
    """The same for latest.json, which names no keys."""
    latest = _trusted(content, LATEST, Latest, read, trust, now)
    return latest, replace(trust, serial=latest.serial, index="") if latest.serial > trust.serial else trust


def _trusted(content: bytes, where: str, kind: type[Text], read: Read, trust: Trust, now: datetime) -> Text:
    if not any(signed_by(key, content, read) for key in trust.keys):
        raise UntrustedError(f"{where}: is not signed by a trusted key; do not trust it")
    text = parse(content, where, kind)  # only now: what a stranger wrote is not even parsed
    if text.expires is None or moment(text.expires) <= now:
        raise UntrustedError(
            f"{where}: expired at {text.expires}; its publisher must sign again, or someone is withholding a newer "
            "version"
        )
    if text.serial < trust.serial:
        raise UntrustedError(
            f"{where}: has the serial {text.serial}, but {trust.serial} was seen before; someone is withholding a "
            "newer version"
        )
    return text


class Client:
    """Reads the catalogue at the address ``site``, trusting ``keys`` (base64), which an app carries.

    ``state``: a file in which it remembers what it saw, from one run to the next; the keys in it count then.
    ``deadline``: seconds after which it gives up a file, however steadily bytes of it still come.
    """

    def __init__(self, site: str, keys: tuple[str, ...], state: Path | None = None, deadline: float = DEADLINE) -> None:
        for key in keys:
            _expect_key(key)
        self.site = site if site.endswith("/") else f"{site}/"
        self.state = state
        self.deadline = deadline
        self.trust = Trust(keys) if state is None or not state.exists() else _read_state(state)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def newest(self, name: str) -> str:
        """The newest version of the model ``name``."""
        content = self.get(LATEST, MAXIMUM_BYTES)
        latest, trust = trusted_latest(content, self._signature, self.trust, self.now())
        self._remember(trust)
        if name not in latest.models:
            raise CatalogueError(f"{self.site}: has no model {name!r:.100}; see its latest.json")
        return latest.models[name]

    def index(self) -> Index:
        content = self.get(INDEX, MAXIMUM_BYTES)
        index, trust = trusted_index(content, self._signature, self.trust, self.now())
        self._remember(trust)
        return index

    def fetch(self, name: str, file: str) -> bytes:
        """The file of the newest version of ``name``, its length and sum those of the index."""
        entry = self.index().entry(name)
        wanted = next((item for item in entry.versions[0].every_file() if item.file == file), None) if entry else None
        if wanted is None:
            raise CatalogueError(f"{self.site}: has no file {file!r:.100} of a model {name!r:.100}; see its index.json")
        return self._verified(wanted)

    def get(self, url: str, most: int) -> bytes:
        """The whole of a file of at most ``most`` bytes, in as many pieces as it takes.

        A download that breaks goes on where it broke; pieces of another version of the file are thrown away.
        """
        content, tag = b"", ""
        end = time.monotonic() + self.deadline
        for _ in range(TRIES):
            headers = {"Range": f"bytes={len(content)}-", "If-Range": tag} if tag and content else {}
            status, tag, piece, whole = self.request(url, headers, most, end)
            content = content + piece if status == 206 else piece
            if len(content) > most:
                break
            if whole:
                return content
        raise UntrustedError(f"{url!r:.200}: is larger than {most} bytes, or its download keeps failing")

    def request(self, url: str, headers: dict[str, str], most: int, end: float) -> tuple[int, str, bytes, bool]:
        """(status, ETag, at most ``most`` + 1 bytes, whether the answer is whole) of one GET, over before ``end``."""
        try:
            parts = urlsplit(urljoin(self.site, url))
            host, port = parts.hostname, parts.port
        except ValueError:
            host = None
        if host is None or parts.scheme not in ("http", "https"):
            raise UntrustedError(f"{url!r:.200}: expected an http or https URL")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        left = end - time.monotonic()
        if left <= 0:
            raise self._late(url)
        connection = kind(host, port, timeout=min(TIMEOUT, left))
        try:
            connection.connect()
            with _hung_up_after(left, connection.sock):
                connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers=headers)
                response = connection.getresponse()
                if response.status not in (200, 206):
                    raise UntrustedError(
                        f"{url!r:.200}: cannot be downloaded (status {response.status}); check the URL"
                    )
                piece = self.body(response, most + 1)
            if time.monotonic() >= end:
                raise self._late(url)
            length = response.headers["Content-Length"]
            whole = length is None or not length.isdecimal() or str(len(piece)) == (length.lstrip("0") or "0")
            return response.status, response.headers.get("ETag", ""), piece, whole
        except (OSError, http.client.HTTPException, ValueError) as error:  # such as a path or header beyond ASCII
            if time.monotonic() >= end:
                raise self._late(url) from error
            raise UntrustedError(f"{url!r:.200}: cannot be downloaded ({type(error).__name__}); try again") from error
        finally:
            connection.close()

    def _late(self, url: str) -> CatalogueError:
        return CatalogueError(
            f"{url!r:.200}: was not downloaded within {self.deadline:g} seconds; try again, or pass a longer deadline"
        )

    def body(self, response: http.client.HTTPResponse, most: int) -> bytes:
        """At most ``most`` bytes; fewer where the line breaks."""
        content = bytearray()
        try:
            while len(content) < most and (piece := response.read1(min(PIECE, most - len(content)))):
                content += piece
        except (OSError, http.client.HTTPException):
            if not content:
                raise
        return bytes(content)

    def _verified(self, file: File) -> bytes:
        content = self.get(file.url, file.bytes)
        if len(content) != file.bytes or hashlib.sha256(content).hexdigest() != file.sha256:
            raise UntrustedError(f"{file.file}: has another SHA-256 than in the index; do not trust it")
        return content

    def _signature(self, place: str) -> bytes | None:
        try:
            return self.get(place, SIGNATURE_BYTES)
        except UntrustedError:
            return None

    def _remember(self, trust: Trust) -> None:
        self.trust = trust
        if self.state is not None:
            write_atomically(self.state, (json.dumps(asdict(trust)) + "\n").encode())


@contextmanager
def _hung_up_after(seconds: float, line: socket.socket) -> Iterator[None]:
    """Whoever waits for ``line`` meets its end then: headers may trickle as well as a body."""

    def hang_up() -> None:
        with suppress(OSError):  # it may be closed already
            line.shutdown(socket.SHUT_RDWR)

    watch = threading.Timer(seconds, hang_up)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def _expect_key(key: str) -> None:
    try:
        public_key_of(key)
    except (ValueError, TypeError):
        raise CatalogueError(
            f"keys: {quoted(key)} is not a public key (32 bytes in base64); pass the text in public-key.txt"
        ) from None


def _read_state(path: Path) -> Trust:
    try:
        table = json.loads(path.read_bytes())
        trust = Trust(tuple(table["keys"]), int(table["serial"]), str(table["index"]))
        for key in trust.keys:
            public_key_of(key)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise CatalogueError(
            f"{path}: is not the stored state of a catalogue reader; delete it only if you trust the next catalogue "
            "that you read"
        ) from None
    return trust
