"""A detached signature for every index: its name is the index's sum, so that no reader meets one of another index."""

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.keys import is_signed_by, public_text, read_public_key
from coreml_updatable.publishing.catalogue.site_files import INDEX

SIGNATURES, PUBLIC_KEY = "signatures", "public-key.txt"


def signature_place(index: bytes) -> str:
    """Where the 64 bytes of the signature over ``index`` lie, relative to the catalogue."""
    return f"{SIGNATURES}/{hashlib.sha256(index).hexdigest()}.sig"


def signed_files(index: bytes, key: Ed25519PrivateKey | None) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files to write before and after the index: its signature, and the public key that makes it a signed one."""
    if key is None:
        return {}, {}
    return {signature_place(index): key.sign(index)}, {PUBLIC_KEY: f"{public_text(key.public_key())}\n".encode()}


def public_key_of(site: Path, key: Ed25519PrivateKey | None) -> str | None:
    """The public key that readers are told: of ``key``, or of a catalogue that is signed already; None of neither."""
    if key is not None:
        return public_text(key.public_key())
    return public_text(read_public_key(site / PUBLIC_KEY)) if (site / PUBLIC_KEY).is_file() else None


def refuse_other_key(site: Path, index: bytes, key: Ed25519PrivateKey | None) -> None:
    """A CatalogueError if ``site`` is signed and ``index``, which is to be written, would not be, or by another key."""
    if not (site / PUBLIC_KEY).is_file():
        return
    public = read_public_key(site / PUBLIC_KEY)
    if key is None:
        if (site / signature_place(index)).is_file():
            return
        raise CatalogueError(f"{site}: is signed, and would no longer be; give its key with --sign KEY")
    if public_text(key.public_key()) != public_text(public):
        raise CatalogueError(
            f"{site}: is signed with another key; sign with that one, "
            f"or remove {PUBLIC_KEY} if apps are to trust this one"
        )


def signature_faults(site: Path, trusted: Ed25519PublicKey | None) -> list[str]:
    """What is wrong with the signature of the index; ``trusted`` None: judged by the catalogue's own public key."""
    if trusted is None:
        if not (site / PUBLIC_KEY).is_file():
            return []
        trusted = read_public_key(site / PUBLIC_KEY)
    index = (site / INDEX).read_bytes()
    path = site / signature_place(index)
    if not path.is_file():
        return [f"{site / INDEX}: has no signature, expected {path.name}; do not trust it, or publish with --sign KEY"]
    if not is_signed_by(trusted, path.read_bytes(), index):
        return [f"{site / INDEX}: its signature is not of this key; do not trust it"]
    return []
