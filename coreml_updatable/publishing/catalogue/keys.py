"""Ed25519 keys: made, read and told apart. Nothing here puts a private key into a message."""

import base64
import binascii
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from coreml_updatable.errors import CatalogueError
from coreml_updatable.files import write_atomically, write_secret
from coreml_updatable.publishing.catalogue.site_files import INDEX, LATEST

MAXIMUM_BYTES = 10_000
PUBLIC_SUFFIX = ".pub"


def make_keys(path: Path) -> str:
    """Write a new private key to ``path``, for its owner alone, and the public one beside it; answers the latter.

    An existing file is never overwritten, and no key is written into a catalogue.
    """
    for folder in path.resolve().parents:
        if (folder / INDEX).exists() and (folder / LATEST).exists():
            raise CatalogueError(f"{path}: lies inside the catalogue {folder}; keep keys where nothing is served")
    key = Ed25519PrivateKey.generate()
    public = public_text(key.public_key())
    public_path = path.with_name(path.name + PUBLIC_SUFFIX)
    try:
        write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    except FileExistsError:
        raise CatalogueError(f"{path}: exists, and a key is never overwritten; choose another name") from None
    write_atomically(public_path, f"{public}\n".encode())
    return public


def read_private_key(path: Path, site: Path) -> Ed25519PrivateKey:
    """The key in ``path``, which must lie outside ``site`` and be readable by its owner alone."""
    if path.resolve().is_relative_to(site.resolve()):
        raise CatalogueError(f"{path}: lies inside the catalogue; move it out, and take another if it was served")
    content = _read(path, "a private key as `coreml-updatable keygen` writes it")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise CatalogueError(f"{path}: others may read it, expected mode 0600; run `chmod 600` on it")
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise CatalogueError(f"{path}: is locked by a password, expected one without; make one with keygen") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CatalogueError(f"{path}: is no private key in PEM, expected Ed25519; make one with keygen") from None
    if not isinstance(key, Ed25519PrivateKey):
        found = type(key).__name__.strip("_").removesuffix("PrivateKey")
        raise CatalogueError(f"{path}: is a key of another kind ({found}), expected Ed25519; make one with keygen")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The public key in ``path``: 32 bytes in base64, as ``keygen`` writes them."""
    return _public_key(_read(path, "a public key as `coreml-updatable keygen` writes it").strip(), path)


def _public_key(content: bytes, path: Path) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(content, validate=True))
    except (ValueError, binascii.Error):
        raise CatalogueError(
            f"{path}: is no public key (32 bytes in base64); take the {PUBLIC_SUFFIX} file that keygen wrote"
        ) from None


def read_public_keys(path: Path) -> tuple[str, ...]:
    """The public keys in ``path``, one a line, in base64."""
    lines = _read(path, "public keys, one a line").split()
    return tuple(public_text(_public_key(line, path)) for line in lines)


def public_key_of(text: str) -> Ed25519PublicKey:
    """The key of a base64 text that ``public_text`` gave."""
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))


def public_text(key: Ed25519PublicKey) -> str:
    """The key's 32 bytes in base64, as CryptoKit takes them."""
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def is_signed_by(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _read(path: Path, expected: str) -> bytes:
    if not path.is_file() or path.stat().st_size > MAXIMUM_BYTES:
        raise CatalogueError(f"{path}: is no small file, expected {expected}; check the path")
    return path.read_bytes()
