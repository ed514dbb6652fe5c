"""A client for a catalogue, with nothing but the standard library's HTTP (and a verifier for Ed25519).

What an app does: ask for the newest version, verify the index, fetch the file, going on where a download broke.
"""

import hashlib
import http.client
import json
from typing import Any
from urllib.parse import urljoin, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class UntrustedError(Exception):
    """What was fetched is not what its publisher signed."""


class Client:
    """``site``: the address of the catalogue, ending in a slash. ``breaks``: after so many bytes a download breaks."""

    def __init__(self, site: str, key: Ed25519PublicKey, breaks: int | None = None) -> None:
        self.site, self.key, self.breaks = site, key, breaks
        self.requests: list[tuple[str, str | None]] = []  # path and range

    def newest(self, name: str) -> str:
        version: str = json.loads(self._get("latest.json"))["models"][name]
        return version

    def index(self) -> Any:
        """The index, its signature verified."""
        content = self._get("index.json")
        signature = self._get(f"signatures/{hashlib.sha256(content).hexdigest()}.sig")
        try:
            self.key.verify(signature, content)
        except InvalidSignature:
            raise UntrustedError("index.json") from None
        return json.loads(content)

    def fetch(self, name: str, file: str) -> bytes:
        """The file of the newest version, its sum compared with the index."""
        index = self.index()
        entry = next(one for one in index["models"] if one["name"] == name)
        release = next(one for one in entry["versions"] if one["version"] == entry["latest"])
        wanted = next(one for one in (*release["models"], *release["files"]) if one["file"] == file)
        content = self._get(wanted["url"])
        if len(content) != wanted["bytes"] or hashlib.sha256(content).hexdigest() != wanted["sha256"]:
            raise UntrustedError(file)
        return content

    def _get(self, url: str) -> bytes:
        """The whole of a file, in as many pieces as it takes; pieces of another version are thrown away."""
        content, tag = b"", ""
        while True:
            headers = {"Range": f"bytes={len(content)}-", "If-Range": tag} if tag and content else {}
            status, answered, piece, whole = self._once(url, headers)
            if status == 404:
                raise UntrustedError(f"{url} is missing")
            content = piece if status == 200 else content + piece
            tag = answered.get("etag", "")
            if whole:
                return content

    def _once(self, url: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes, bool]:
        parts = urlsplit(urljoin(self.site, url))
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
        try:
            connection.request("GET", parts.path, headers=headers)
            self.requests.append((parts.path, headers.get("Range")))
            response = connection.getresponse()
            length = int(response.headers["Content-Length"])
            piece = response.read(length if self.breaks is None else min(length, self.breaks))
            answered = {name.lower(): value for name, value in response.headers.items()}
            return response.status, answered, piece, len(piece) == length
        finally:
            connection.close()
