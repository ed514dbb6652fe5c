"""A catalogue that was damaged: each damage is one sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.check_site import check_site
from coreml_updatable.publishing.catalogue.publish import publish


@pytest.fixture
def published(make_build: Callable[..., Path], site: Path) -> Path:
    publish([make_build("Luncher")], site)
    return site


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def flip(site: Path) -> None:
    path = site / "models/Luncher/1.0/Luncher.mlmodel"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def private_key(site: Path) -> None:
    (site / "models/key.pem").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n")


def linked_in_a_circle(site: Path) -> None:
    (site / "circle").symlink_to("circle")
    (site / "a.html").write_text('<a href="circle/x">')


def huge_page(site: Path) -> None:
    with (site / "a.html").open("wb") as file:
        file.truncate(20_000_001)


def huge_latest(site: Path) -> None:
    with (site / "latest.json").open("ab") as file:
        file.truncate(100_000_001)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (flip, "Luncher.mlmodel: has another SHA-256 than in the index"),
        (lambda site: (site / "models/Luncher/1.0/report.html").unlink(), "report.html: is missing, expected a file"),
        (lambda site: changed(site / "latest.json", '"1.0"', '"7.0"'), "latest.json: names Luncher 7.0, which the"),
        (lambda site: (site / "latest.json").unlink(), "latest.json: is not a regular file, expected the JSON"),
        (
            lambda site: changed(site / "index.json", '"url": "models', '"url": "http://x'),
            "the url of Luncher.mlmodel is",
        ),
        (lambda site: changed(site / "index.schema.json", "name", "nome"), "is not the schema of this index"),
        (
            lambda site: (site / "a.html").write_text('<a href="../x">'),
            "a.html: links to '../x', which does not exist",
        ),
        (lambda site: (site / "a.html").write_text('<a href="#x">'), "a.html: links to '#x', which does not exist"),
        (lambda site: (site / "a.html").write_text('<a href="%00">'), "a.html: links to '%00', which does not exist"),
        (lambda site: (site / "a.html").write_text('<a href="http://[x">'), "a.html: links to 'http://[x', which does"),
        (lambda site: (site / "a.html").write_text(f'<a href="{"x" * 5000}">'), "a.html: links to 'xxx"),
        (lambda site: (site / "a.html").write_bytes(b'\xff<a href="x">'), "a.html: links to 'x', which does not"),
        (linked_in_a_circle, "a.html: links to 'circle/x', which does not exist"),
        (lambda site: (site / "a.html").symlink_to("/dev/zero"), "a.html: is a link, expected only files and folders"),
        (huge_page, "a.html: is larger than 20000000 bytes, expected a page"),
        (huge_latest, "latest.json: is larger than 100000000 bytes; restore"),
        (
            lambda site: changed(site / "latest.json", '"serial": 1', '"serial": 0, "serial": 1'),
            "latest.json: is not the JSON of a catalogue (it has 'serial' twice); restore it from a copy",
        ),
        (private_key, "key.pem: contains a private key; remove it"),
    ],
)
def test_a_damage_is_found(published: Path, damage: Callable[[Path], object], sentence: str) -> None:
    assert check_site(published).faults == ()
    damage(published)
    assert any(sentence in fault for fault in check_site(published).faults), check_site(published).faults


def test_good_links_are_no_fault(published: Path) -> None:
    (published / "a.html").write_text(
        '<p id="top"><a href="#top">1</a><a href="index.json?x#y">2</a><a href="https://example.org/">3</a>'
    )
    assert check_site(published).faults == ()


def test_what_no_index_names_is_noted(published: Path) -> None:
    (published / "models/Luncher/9.0").mkdir()
    checked = check_site(published)
    assert checked.faults == ()
    assert "9.0: is not in the index; the next publish removes it" in checked.notes[0]


def test_a_latest_that_a_killed_publisher_left_behind_is_noted(
    published: Path, make_build: Callable[..., Path]
) -> None:
    old = (published / "latest.json").read_bytes()
    publish([make_build("Second")], published)
    (published / "latest.json").write_bytes(old)
    checked = check_site(published)
    assert checked.faults == ()
    assert any("latest.json: has the serial 1, which is older than the index (2)" in note for note in checked.notes)


def test_a_field_of_the_index_that_is_there_twice(published: Path) -> None:
    changed(published / "index.json", '"serial": 1', '"serial": 7, "serial": 1')
    with pytest.raises(CatalogueError, match=r"index.json: is not the JSON of a catalogue \(it has 'serial' twice\)"):
        check_site(published)


def test_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"has no index\.json, expected a catalogue; pass the folder"):
        check_site(tmp_path)
