"""The reader of a catalogue, with lines that break."""

from http.client import HTTPResponse
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from coreml_updatable.publishing.catalogue.client import Client as Reader
from coreml_updatable.publishing.catalogue.client import UntrustedError
from coreml_updatable.publishing.catalogue.signing import public_text

__all__ = ["Client", "UntrustedError"]


class Client(Reader):
    """``breaks``: after so many bytes a download breaks. ``requests``: (path, range) of each."""

    def __init__(self, site: str, key: Ed25519PublicKey, breaks: int | None = None, state: Path | None = None) -> None:
        super().__init__(site, (public_text(key),), state)
        self.breaks = breaks
        self.requests: list[tuple[str, str | None]] = []

    def request(self, url: str, headers: dict[str, str], most: int, end: float) -> tuple[int, str, bytes, bool]:
        self.requests.append((url, headers.get("Range")))
        return super().request(url, headers, most, end)

    def body(self, response: HTTPResponse, most: int) -> bytes:
        return super().body(response, most if self.breaks is None else min(most, self.breaks))
