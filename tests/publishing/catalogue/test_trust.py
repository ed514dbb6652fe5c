"""Attacks on a signed catalogue by whoever holds its server, and how a key is changed: what a reader believes."""

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.check_site import check_site
from coreml_updatable.publishing.catalogue.client import Trust, UntrustedError, trusted_index, trusted_latest
from coreml_updatable.publishing.catalogue.index import Index
from coreml_updatable.publishing.catalogue.publish import publish
from coreml_updatable.publishing.catalogue.signing import make_keys, public_text, signature_place
from tests.cli.conftest import Run

MakeBuild = Callable[..., Path]
NOW = datetime(2030, 1, 1, tzinfo=UTC)
OLD, NEW, THIRD = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3))


def text(key: Ed25519PrivateKey) -> str:
    return public_text(key.public_key())


def trust(*keys: Ed25519PrivateKey, serial: int = 0) -> Trust:
    return Trust(tuple(map(text, keys)), serial)


def lying(site: Path) -> Callable[[str], bytes | None]:
    return lambda place: (site / place).read_bytes() if (site / place).is_file() else None


def read(site: Path, known: Trust, days: float = 0) -> tuple[Index, Trust]:
    """The index and latest.json of ``site``, ``days`` after it was signed, as a reader believes them."""

    now = NOW + timedelta(days=days)
    latest, after = trusted_latest((site / "latest.json").read_bytes(), lying(site), known, now)
    index, after = trusted_index((site / "index.json").read_bytes(), lying(site), after, now)
    assert latest.serial <= index.serial
    return index, after


def refused(site: Path, known: Trust, sentence: str, days: float = 0) -> None:
    with pytest.raises(UntrustedError, match=sentence):
        read(site, known, days)


@pytest.fixture
def history(make_build: MakeBuild, site: Path, tmp_path: Path) -> list[Path]:
    """Copies of a catalogue after each of three releases, serials 1 to 3, all signed by the old key."""
    copies = []
    for version in ("1.0", "1.1", "2.0"):
        publish([make_build("Luncher", version)], site, key=OLD, now=NOW)
        copies.append(Path(shutil.copytree(site, tmp_path / version)))
    return copies


def test_the_newest_is_believed(history: list[Path]) -> None:
    known = trust(OLD)
    for serial, copy in enumerate(history, start=1):
        index, known = read(copy, known)
        assert (index.serial, known.serial) == (serial, serial)
        assert read(copy, known)[1] == known  # as often as one likes


def test_rollback(history: list[Path]) -> None:
    """An old index with the signature that it has always had."""
    _, known = read(history[2], trust(OLD))
    for old in history[:2]:
        refused(old, known, "someone is withholding a newer version")
    assert read(history[0], trust(OLD))[0].serial == 1  # who saw nothing yet cannot know: hence the expiry


def test_rollback_after_latest_alone_was_read(history: list[Path]) -> None:
    content = (history[2] / "latest.json").read_bytes()
    known = trusted_latest(content, lying(history[2]), trust(OLD), NOW)[1]
    refused(history[1], known, "someone is withholding a newer version")
    assert read(history[2], known)[0].serial == 3


def test_freeze(history: list[Path]) -> None:
    assert read(history[2], trust(OLD), days=89.9)
    refused(history[2], trust(OLD), "expired at 2030-04-01T00:00:00Z", days=90)
    refused(history[2], trust(OLD), "expired", days=4000)


@pytest.mark.parametrize(("index", "latest"), [(0, 1), (0, 2), (1, 2)])
def test_mix_and_match(history: list[Path], index: int, latest: int) -> None:
    """latest.json of one release with the index of an earlier one."""
    mixed = history[index]
    shutil.copytree(history[latest] / "signatures", mixed / "signatures", dirs_exist_ok=True)
    shutil.copy(history[latest] / "latest.json", mixed)
    refused(mixed, trust(OLD), "someone is withholding a newer version")
    assert any("latest.json" in fault for fault in check_site(mixed, now=NOW).faults)


def test_latest_that_nobody_signed(history: list[Path]) -> None:
    path = history[2] / "latest.json"
    path.write_text(path.read_text().replace('"2.0"', '"1.0"'))
    refused(history[2], trust(OLD), "latest.json: is not signed by a trusted key")
    faults = check_site(history[2], OLD.public_key(), now=NOW).faults
    assert any("latest.json: has no signature" in fault for fault in faults)
    assert any("latest.json: does not match the index with the same serial" in fault for fault in faults)


def test_an_index_in_the_place_of_latest_and_the_other_way_round(history: list[Path]) -> None:
    site = history[2]
    index, latest = (site / "index.json").read_bytes(), (site / "latest.json").read_bytes()
    (site / "latest.json").write_bytes(index)
    with pytest.raises(CatalogueError, match=r"latest\.json"):
        read(site, trust(OLD))
    (site / "latest.json").write_bytes(latest)
    (site / "index.json").write_bytes(latest)
    with pytest.raises(CatalogueError, match=r"index\.json"):
        read(site, trust(OLD))


def signed_anew(site: Path, content: bytes, key: Ed25519PrivateKey = OLD) -> None:
    (site / "index.json").write_bytes(content)
    (site / "signatures").mkdir(exist_ok=True)
    (site / signature_place(content)).write_bytes(key.sign(content))
    (site / signature_place(content, text(key))).write_bytes(key.sign(content))


@pytest.mark.parametrize("field", ["serial", "expires", "schema"])
def test_an_index_without_what_protects_it_is_refused_even_if_it_is_signed(history: list[Path], field: str) -> None:
    table = json.loads((history[2] / "index.json").read_bytes())
    del table[field]
    signed_anew(history[2], json.dumps(table).encode())
    with pytest.raises(CatalogueError):
        read(history[2], trust(OLD))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("serial", -1),
        ("serial", 2**60),
        ("serial", True),
        ("serial", "9"),
        ("serial", 3.5),
        ("expires", "never"),
        ("expires", "2030-13-41T27:00:00Z"),
        ("expires", ""),
        ("keys", []),
        ("keys", ["short"]),
        ("keys", [text(OLD), text(OLD)]),
    ],
)
def test_wrong_values_are_refused_even_if_they_are_signed(history: list[Path], field: str, value: object) -> None:
    table = {**json.loads((history[2] / "index.json").read_bytes()), field: value}
    signed_anew(history[2], json.dumps(table).encode())
    with pytest.raises(CatalogueError):
        read(history[2], trust(OLD))


def test_two_indices_of_one_serial(history: list[Path]) -> None:
    _, known = read(history[2], trust(OLD))
    table = {**json.loads((history[2] / "index.json").read_bytes()), "models": []}
    signed_anew(history[2], json.dumps(table).encode())
    refused(history[2], known, "the serial 3 that was seen before")


@given(cut=st.integers(0, 10_000), flip=st.integers(0, 10_000), where=st.sampled_from(["index.json", "latest.json"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_changed_byte_is_believed(history: list[Path], cut: int, flip: int, where: str) -> None:
    path = history[2] / where
    good = path.read_bytes()
    changed = bytearray(good)
    changed[flip % len(good)] ^= 1
    try:
        for bad in (bytes(changed), good[: cut % len(good)], good + b" " * (1 + cut), b""):
            path.write_bytes(bad)
            refused(history[2], trust(OLD), "is not signed by a trusted key")
    finally:
        path.write_bytes(good)


@given(signature=st.binary(max_size=130))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_other_signature_is_believed(history: list[Path], signature: bytes) -> None:
    content = (history[2] / "index.json").read_bytes()
    wrong = (signature, THIRD.sign(content), OLD.sign(content + b" "), OLD.sign(b""), OLD.sign(content)[:-1])
    for item in wrong:
        with pytest.raises(UntrustedError, match="is not signed by a trusted key"):
            trusted_index(content, lambda _, entry=item: entry, trust(OLD), NOW)  # type: ignore[misc]


def test_changing_a_key(make_build: MakeBuild, site: Path) -> None:
    """Old key only, both, new key only; readers who carry either, and those who learn."""
    publish([make_build("Luncher")], site, key=OLD, now=NOW)
    _, learned = read(site, trust(OLD))
    refused(site, trust(NEW), "is not signed by a trusted key")
    publish([], site, key=[OLD, NEW], now=NOW)
    assert check_site(site, now=NOW).faults == ()
    for reader in (trust(OLD), trust(NEW), trust(OLD, NEW), learned):
        index, after = read(site, reader)
        assert index.keys == after.keys == (text(OLD), text(NEW))
    refused(site, trust(THIRD), "is not signed by a trusted key")
    during = read(site, learned)[1]
    assert (site / "public-key.txt").read_text().split() == [text(OLD), text(NEW)]

    publish([], site, key=NEW, revoked=[text(OLD)], now=NOW)
    assert check_site(site, now=NOW).faults == ()
    after = read(site, during)[1]  # who met the two keys follows
    assert after.keys == (text(NEW),)
    refused(site, trust(OLD), "is not signed by a trusted key")  # who did not must get a new app
    assert read(site, trust(OLD, NEW))[1].keys == (text(NEW),)

    table = {**json.loads((site / "index.json").read_bytes()), "serial": 99, "keys": [text(OLD)]}
    signed_anew(site, json.dumps(table).encode(), OLD)  # whoever stole the old key
    with pytest.raises(UntrustedError, match="is not signed by a trusted key"):
        trusted_index((site / "index.json").read_bytes(), lying(site), after, NOW)


def test_no_key_goes_by_mistake(make_build: MakeBuild, site: Path) -> None:
    build = make_build("Luncher")
    publish([build], site, key=[OLD, NEW], now=NOW)
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    for key, revoked, sentence in (
        (OLD, (), "apps also accept the key .*; sign with it, too"),
        (THIRD, (), "is signed with another key; sign with that key, or with both"),
        ([OLD, NEW], [text(NEW)], "expected a key that apps accept and that no longer signs"),
        ([OLD, NEW], [text(THIRD)], "expected a key that apps accept"),
        ((), [text(OLD)], "revoking a key needs a signature by another"),
    ):
        with pytest.raises(CatalogueError, match=sentence):
            publish([make_build("Digits")], site, key=key, revoked=revoked, now=NOW)
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before
    publish([build], site, key=[NEW, OLD], now=NOW)  # in whatever order
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before


def test_the_same_again_is_signed_anew_only_when_half_of_its_time_has_passed(make_build: MakeBuild, site: Path) -> None:
    build = make_build("Luncher")
    first = publish([build], site, key=OLD, now=NOW)
    assert publish([build], site, key=OLD, now=NOW + timedelta(days=44)).index == first.index
    later = publish([build], site, key=OLD, now=NOW + timedelta(days=46)).index
    assert (later.serial, later.expires) == (2, "2030-05-17T00:00:00Z")
    shorter = publish([build], site, key=OLD, days=7, now=NOW + timedelta(days=46)).index
    assert (shorter.serial, shorter.expires) == (3, "2030-02-23T00:00:00Z")
    assert read(site, trust(OLD), days=52)[0] == shorter
    assert "expires at 2030-02-23T00:00:00Z" in check_site(site, now=NOW + timedelta(days=52)).notes[0]
    assert "expired at" in check_site(site, now=NOW + timedelta(days=54)).faults[0]
    assert publish([build], site, now=NOW + timedelta(days=54)).index == shorter  # nobody signs: it stays


def test_a_catalogue_from_before_the_keys_stood_in_it(make_build: MakeBuild, site: Path) -> None:
    publish([make_build("Luncher")], site)
    (site / "public-key.txt").write_text(f"{text(OLD)}\n")
    content = (site / "index.json").read_bytes()
    table = {name: value for name, value in json.loads(content).items() if name not in ("expires", "keys")}
    signed_anew(site, json.dumps(table).encode())
    with pytest.raises(CatalogueError, match="is signed with another key"):
        publish([], site, key=NEW, now=NOW)
    assert publish([], site, key=OLD, now=NOW).index.keys == (text(OLD),)
    assert check_site(site, OLD.public_key(), now=NOW).faults == ()


def test_what_follows_a_catalogue_that_readers_have(
    history: list[Path], make_build: MakeBuild, site: Path, tmp_path: Path, run: Run
) -> None:
    """A publisher who works on a restored copy: its next serial is one that readers have seen."""
    assert check_site(site, previous=history[1], now=NOW).faults == ()
    assert check_site(site, previous=history[2] / "index.json", now=NOW).faults == ()
    restored = Path(shutil.copytree(history[0], tmp_path / "restored"))
    assert "readers have seen 3" in check_site(restored, previous=site, now=NOW).faults[0]
    publish([make_build("Luncher", "1.1", seed=5)], restored, key=OLD, now=NOW)
    publish([make_build("Digits")], restored, key=OLD, now=NOW)
    faults = " ".join(check_site(restored, previous=site, now=NOW).faults)
    assert "differs from the index with the serial 3 that readers have seen" in faults
    assert "Luncher 1.1 has other files than before" in faults
    index = publish([make_build("Digits")], restored, key=OLD, above=3, now=NOW).index
    assert index.serial == 4
    stolen = Path(shutil.copytree(history[2], tmp_path / "stolen"))
    signed_anew(stolen, (stolen / "index.json").read_bytes().replace(b'"serial": 3', b'"serial": 4'), THIRD)
    assert any(
        "is not signed by a key that readers accept" in fault for fault in check_site(stolen, previous=site).faults
    )
    make_keys(tmp_path / "key")
    catalogue = tmp_path / "cli"
    assert run("publish", make_build("Luncher"), "--to", catalogue, "--sign", tmp_path / "key").status == 0
    ran = run("publish", "--check", catalogue, "--previous", site)
    assert ran.status == 1
    assert "has the serial 1, but readers have seen 3; publish again with --previous" in ran.out
    assert run("publish", "--to", catalogue, "--sign", tmp_path / "key", "--previous", site).out.count("serial 4") == 1
    assert run("publish", "--check", catalogue, "--previous", tmp_path).status == 1


def test_a_key_is_changed_at_the_command_line(make_build: MakeBuild, site: Path, tmp_path: Path, run: Run) -> None:
    for name in ("old", "new"):
        make_keys(tmp_path / name)
    signed = ("publish", make_build("Luncher"), "--to", site, "--sign", tmp_path / "old")
    assert run(*signed, "--valid-days", "30").status == 0
    assert run("publish", "--to", site, "--sign", tmp_path / "new").status == 1
    assert run(*signed, "--sign", tmp_path / "new").status == 0
    for name in ("old", "new"):
        assert run("publish", "--check", site, "--public-key", tmp_path / f"{name}.pub").status == 0
    assert run("publish", "--to", site, "--sign", tmp_path / "new").status == 1
    assert run("publish", "--to", site, "--sign", tmp_path / "new", "--revoke", tmp_path / "old.pub").status == 0
    assert run("publish", "--check", site, "--public-key", tmp_path / "old.pub").status == 1
    both = ("--public-key", tmp_path / "old.pub", "--public-key", tmp_path / "new.pub")
    assert run("publish", "--check", site, *both).status == 0
    assert run("publish", "--check", site, "--revoke", tmp_path / "old.pub").status == 2
    assert base64.b64decode((tmp_path / "new.pub").read_text()) == base64.b64decode(
        (site / "public-key.txt").read_text()
    )


def test_trust_is_a_value() -> None:
    known = trust(OLD, serial=3)
    assert replace(known, serial=4) != known
