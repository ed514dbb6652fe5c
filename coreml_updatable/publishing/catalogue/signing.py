"""Ed25519 keys and the detached signature over every index; nothing here puts a private key into a message.

So no reader meets a signature of another text. ``signatures/SUM.sig`` is that of the first accepted key, for readers
who know one key; there is a ``signatures/SUM.KEY.sig`` for each, KEY being 16 digits of the SHA-256 of its 32 bytes.
"""

import base64
import binascii
import hashlib
import stat
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

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
from coreml_updatable.publishing.catalogue.index import MOST_KEYS, Index
from coreml_updatable.publishing.catalogue.site_files import INDEX, LATEST

MAXIMUM_BYTES = 10_000
PUBLIC_SUFFIX = ".pub"


def make_keys(path: Path) -> str:
    """Write a new private key to ``path``, for its owner alone, and the public one beside it; answers the latter.

    An existing file is never overwritten, and no key is written into a catalogue.
    """
    for folder in path.resolve().parents:
        if (folder / INDEX).exists() and (folder / LATEST).exists():
            raise CatalogueError(f"{path}: is inside the catalogue {folder}; keep keys out of folders that are served")
    key = Ed25519PrivateKey.generate()
    public = public_text(key.public_key())
    public_path = path.with_name(path.name + PUBLIC_SUFFIX)
    try:
        write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    except FileExistsError:
        raise CatalogueError(f"{path}: already exists, and a key is never overwritten; choose another name") from None
    write_atomically(public_path, f"{public}\n".encode())
    return public


def read_private_key(path: Path, site: Path) -> Ed25519PrivateKey:
    """The key in ``path``, which must lie outside ``site`` and be readable by its owner alone."""
    if path.resolve().is_relative_to(site.resolve()):
        raise CatalogueError(f"{path}: is inside the catalogue; move it, and create a new one if it was served")
    content = _read(path, "a private key from `coreml-updatable keygen`")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise CatalogueError(f"{path}: is readable by others, expected mode 0600; run `chmod 600` on it")
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise CatalogueError(f"{path}: has a password, expected a key without; create one with keygen") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CatalogueError(f"{path}: is not an Ed25519 private key in PEM; create one with keygen") from None
    if not isinstance(key, Ed25519PrivateKey):
        result = type(key).__name__.strip("_").removesuffix("PrivateKey")
        raise CatalogueError(f"{path}: is a key of another type ({result}), expected Ed25519; create one with keygen")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The public key in ``path``: 32 bytes in base64, as ``keygen`` writes them."""
    return _public_key(_read(path, "a public key from `coreml-updatable keygen`").strip(), path)


def _public_key(content: bytes, path: Path) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(content, validate=True))
    except (ValueError, binascii.Error):
        raise CatalogueError(
            f"{path}: is not a public key (32 bytes in base64); use the {PUBLIC_SUFFIX} file from keygen"
        ) from None


def read_public_keys(path: Path) -> tuple[str, ...]:
    """The public keys in ``path``, one a line, in base64."""
    lines = _read(path, "public keys, one per line").split()
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
        raise CatalogueError(f"{path}: is not a small file, expected {expected}; check the path")
    return path.read_bytes()


SIGNATURES, PUBLIC_KEY = "signatures", "public-key.txt"
SIGNATURE_BYTES = 64
Read: TypeAlias = Callable[[str], bytes | None]


def signature_place(content: bytes, key: str = "") -> str:
    """Where the 64 bytes of a signature over ``content`` lie, relative to the catalogue; "": of the first key."""
    behind = f".{hashlib.sha256(base64.b64decode(key)).hexdigest()[:16]}" if key else ""
    return f"{SIGNATURES}/{hashlib.sha256(content).hexdigest()}{behind}.sig"


def signatures(content: bytes, signers: Sequence[Ed25519PrivateKey], keys: Sequence[str]) -> dict[str, bytes]:
    """The files of the signatures over ``content``; ``keys``: those of ``signers``, in the order of the index."""
    result = {public_text(signer.public_key()): signer.sign(content) for signer in signers}
    files = {signature_place(content, key): result[key] for key in keys if key in result}
    return {**files, **({signature_place(content): result[keys[0]]} if result else {})}


def keys_of(site: Path, index: Index) -> tuple[str, ...]:
    """Who may sign ``site``: what its index says, or the file of keys of a catalogue that was signed before it did."""
    if index.keys or not (site / PUBLIC_KEY).is_file():
        return index.keys
    return read_public_keys(site / PUBLIC_KEY)


def accepted(
    site: Path, old: Sequence[str], signers: Sequence[Ed25519PrivateKey], revoked: Sequence[str]
) -> tuple[str, ...]:
    """The keys of the next index: those of ``signers``. A CatalogueError if that locks out who trusts an old one."""
    new = [public_text(signer.public_key()) for signer in signers]
    surplus = [key for key in revoked if key not in old or key in new]
    if surplus:
        raise CatalogueError(f"{site}: --revoke {surplus[0]}: expected a key that apps accept and that no longer signs")
    if not new:
        if revoked:
            raise CatalogueError(f"{site}: revoking a key needs a signature by another; pass it with --sign KEY")
        return tuple(old)
    left_out = [key for key in old if key not in new and key not in revoked]
    if left_out and not set(new) & set(old):
        raise CatalogueError(
            f"{site}: is signed with another key; sign with that key, or with both until apps know the new one"
        )
    if left_out:
        raise CatalogueError(
            f"{site}: apps also accept the key {left_out[0]}; sign with it, too, or pass --revoke KEY.pub"
        )
    if len(new) > MOST_KEYS:
        raise CatalogueError(f"{site}: has {len(new)} keys, expected at most {MOST_KEYS}; sign with fewer")
    return (*(key for key in old if key in new), *(key for key in dict.fromkeys(new) if key not in old))


def expiring(index: Index, old: Index, days: int, now: datetime) -> Index:
    """``index``, which expires ``days`` after ``now``; as it is, if it is ``old`` and half of that is left."""
    left = moment(old.expires) - now if old.expires is not None else timedelta(0)
    whole = timedelta(days=days)
    if index == old and whole / 2 <= left <= whole:
        return index
    return index.model_copy(update={"expires": f"{(now + whole).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"})


def moment(text: str) -> datetime:
    """The moment in ``expires``; the distant past for one that no calendar has, so that it has passed."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def refuse_unsigned(site: Path, index: bytes, keys: Sequence[str], signers: Sequence[Ed25519PrivateKey]) -> None:
    """A CatalogueError if ``site`` is signed and ``index``, which is to be written, would not be."""
    if keys and not signers and not (site / signature_place(index)).is_file():
        raise CatalogueError(f"{site}: is signed and must stay signed; pass its key with --sign KEY")


def signature_faults(site: Path, file: str, own: Sequence[str], trusted: Sequence[str]) -> Iterator[str]:
    """What is wrong with the signatures of ``file``: each of ``own`` signed it, and one of ``trusted`` at least."""

    def read(place: str) -> bytes | None:
        path = site / place
        return path.read_bytes() if path.is_file() and path.stat().st_size == SIGNATURE_BYTES else None

    content = (site / file).read_bytes()
    for key in own:
        if not signed_by(key, content, read):
            yield f"{site / file}: {_fault(content, (key,), read)}"
    if trusted and not any(signed_by(key, content, read) for key in trusted):
        yield f"{site / file}: {_fault(content, trusted, read)}"


def signed_by(key: str, content: bytes, read: Read) -> bool:
    """Whether ``key`` signed ``content``; ``read`` gives what lies at a place of the catalogue, None for nothing."""
    result = (read(place) for place in (signature_place(content, key), signature_place(content)))
    return any(item is not None and is_signed_by(public_key_of(key), item, content) for item in result)


def _fault(content: bytes, keys: Sequence[str], read: Read) -> str:
    places = [signature_place(content), *(signature_place(content, key) for key in keys)]
    if all(read(place) is None for place in places):
        return f"has no signature, expected {places[-1]}; do not trust it, or publish with --sign KEY"
    return "its signature is by another key; do not trust it"
