"""Keys and signatures: what is written, what is refused, and that OpenSSL agrees."""

import base64
import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.check_site import check_site
from coreml_updatable.publishing.catalogue.publish import publish
from coreml_updatable.publishing.catalogue.signing import make_keys, read_private_key, read_public_key

MakeBuild = Callable[..., Path]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_keys(tmp_path / "key.pem")
    return tmp_path / "key.pem"


def signature_of(site: Path) -> Path:
    return site / "signatures" / f"{hashlib.sha256((site / 'index.json').read_bytes()).hexdigest()}.sig"


def test_a_private_key_is_its_owners_alone(key: Path) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(base64.b64decode(Path(f"{key}.pub").read_text())) == 32


def test_a_key_is_never_overwritten(key: Path) -> None:
    before = key.read_bytes()
    with pytest.raises(CatalogueError, match="exists, and a key is never overwritten; choose another name"):
        make_keys(key)
    assert key.read_bytes() == before


def test_openssl_accepts_the_signature(make_build: MakeBuild, site: Path, key: Path, tmp_path: Path) -> None:
    """The public key is taken from the catalogue and wrapped as RFC 8410 says; OpenSSL is another implementation."""
    publish([make_build("Luncher")], site, key=read_private_key(key, site))
    raw = base64.b64decode((site / "public-key.txt").read_text())
    (tmp_path / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + raw)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin"]
    command += ["-inkey", str(tmp_path / "key.der"), "-in", str(site / "index.json")]
    command += ["-sigfile", str(signature_of(site))]
    assert b"Verified Successfully" in subprocess.run(command, capture_output=True, check=True).stdout


def test_the_signature_is_checked(make_build: MakeBuild, site: Path, key: Path, tmp_path: Path) -> None:
    publish([make_build("Luncher")], site, key=read_private_key(key, site))
    trusted = read_public_key(Path(f"{key}.pub"))
    assert check_site(site, trusted).faults == ()
    make_keys(tmp_path / "other.pem")
    faults = check_site(site, read_public_key(tmp_path / "other.pem.pub")).faults
    assert "index.json: its signature is by another key; do not trust it" in faults[0]
    index = site / "index.json"
    index.write_text(index.read_text().replace('"license": "', '"license": "un'))
    assert "index.json: has no signature, expected " in check_site(site, trusted).faults[0]
    assert "index.json: has no signature, expected " in check_site(site).faults[0]


def test_a_signed_catalogue_stays_signed(make_build: MakeBuild, site: Path, key: Path, tmp_path: Path) -> None:
    build = make_build("Luncher")
    publish([build], site)
    publish([], site, key=read_private_key(key, site))  # signs what is there already
    assert signature_of(site).is_file()
    publish([build], site)  # changes nothing, and so needs no key
    make_keys(tmp_path / "other.pem")
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    with pytest.raises(CatalogueError, match=r"is signed and must stay signed; pass its key with --sign KEY"):
        publish([make_build("Digits")], site)
    with pytest.raises(CatalogueError, match=r"is signed with another key; sign with that key, or with both"):
        publish([make_build("Digits")], site, key=read_private_key(tmp_path / "other.pem", site))
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before
    publish([make_build("Digits")], site, key=read_private_key(key, site))
    assert check_site(site, read_public_key(Path(f"{key}.pub"))).faults == ()


def test_no_private_key_comes_near_a_catalogue(make_build: MakeBuild, site: Path, key: Path) -> None:
    publish([make_build("Luncher")], site, key=read_private_key(key, site))
    secret = key.read_text().splitlines()[1].encode()
    assert not [path for path in site.rglob("*") if path.is_file() and secret in path.read_bytes()]
    with pytest.raises(CatalogueError, match=r"is inside the catalogue .*; keep keys out of folders that are served"):
        make_keys(site / "models" / "key.pem")
    (site / "key.pem").write_bytes(key.read_bytes())
    with pytest.raises(CatalogueError, match="is inside the catalogue; move it, and create a new one"):
        read_private_key(site / "key.pem", site)


def test_keys_of_the_wrong_kind(tmp_path: Path, site: Path) -> None:
    path = tmp_path / "key"

    def refused(content: bytes, sentence: str) -> None:
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(CatalogueError, match=sentence) as error:
            read_private_key(path, site)
        lines = content.decode(errors="replace").splitlines()
        assert not [line for line in lines[1:-1] if line and line in str(error.value)]

    ed25519, pem, pkcs8 = Ed25519PrivateKey.generate(), Encoding.PEM, PrivateFormat.PKCS8
    good = ed25519.private_bytes(pem, pkcs8, NoEncryption())
    locked = ed25519.private_bytes(pem, pkcs8, BestAvailableEncryption(b"word"))
    curve = generate_private_key(SECP256R1()).private_bytes(pem, pkcs8, NoEncryption())
    refused(curve, r"is a key of another type \(.*\), expected Ed25519; create one with keygen")
    refused(locked, "has a password, expected a key without; create one with keygen")
    refused(b"hello", "is not an Ed25519 private key in PEM; create one with keygen")
    refused(good[:60], "is not an Ed25519 private key in PEM")
    refused(b"x" * 20_000, "is not a small file, expected a private key from")
    path.write_bytes(good)
    path.chmod(0o644)
    with pytest.raises(CatalogueError, match="is readable by others, expected mode 0600; run `chmod 600` on it"):
        read_private_key(path, site)
    with pytest.raises(CatalogueError, match=r"is not a public key \(32 bytes in base64\); use the \.pub file"):
        read_public_key(path)
    with pytest.raises(CatalogueError, match="is not a small file, expected a public key"):
        read_public_key(tmp_path / "nowhere")
