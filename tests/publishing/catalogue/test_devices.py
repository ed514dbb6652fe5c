"""What devices answered, in a catalogue: validated, listed, shown, and covered by the check."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from coreml_updatable.errors import UserError
from coreml_updatable.publishing.catalogue.check_site import check_site
from coreml_updatable.publishing.catalogue.publish import publish
from tests.cli.conftest import Run
from tests.publishing.catalogue.sites import MakeBuild, index_of, state

VALID = {
    "version": 2,
    "device": "iPhone15,2",
    "os": "iOS 18.1",
    "date": "2026-11-30",
    "results": {"gradient": [1.0, -1.0], "tied_labels": [2.0], "squared_error": [0.25] * 4},
}


def _file(folder: Path, name: str = "sent.json", **changes: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps({**VALID, **changes}))
    return path


def test_the_index_lists_what_a_device_answered(make_build: MakeBuild, site: Path, tmp_path: Path) -> None:
    believed = {"gradient": "mean"}  # what the sender says, and the numbers do not
    publish([make_build("Luncher")], site, devices=[_file(tmp_path, choices=believed), _file(tmp_path, "same.json")])
    content = json.loads((site / "index.json").read_text())
    jsonschema.validate(content, json.loads((site / "index.schema.json").read_text()))
    (device,) = content["devices"]
    assert (device["device"], device["os"], device["date"]) == ("iPhone15,2", "iOS 18.1", "2026-11-30")
    assert {name for name, choice in device["choices"].items() if choice} == {"gradient", "tied_labels"}
    assert device["choices"]["gradient"] == "sum"
    published = (site / device["url"]).read_bytes()
    assert (device["bytes"], device["sha256"]) == (len(published), hashlib.sha256(published).hexdigest())
    assert json.loads(published)["choices"]["gradient"] == "sum"
    assert check_site(site).faults == ()


def test_the_pages_show_it(make_build: MakeBuild, site: Path, tmp_path: Path) -> None:
    publish([make_build("Luncher")], site)
    assert "devices" not in json.loads((site / "index.json").read_text())
    assert "What devices do" not in (site / "index.html").read_text()
    publish([], site, devices=[_file(tmp_path, device="<b>&{{ 7 * 7 }}", os="\u202eiOS")])
    page = (site / "index.html").read_text()
    assert "What devices do" in page
    assert "&lt;b&gt;&amp;{{ 7 * 7 }}" in page
    assert "<strong>sum</strong>" in page
    assert "\u202e" not in page
    assert "squared_error" not in page  # no device settled it
    assert "../../index.html#devices" in (site / "models" / "Luncher" / "index.html").read_text()
    assert check_site(site).faults == ()


def test_publishing_again_changes_nothing_and_others_are_added(site: Path, tmp_path: Path) -> None:
    publish([], site, devices=[_file(tmp_path)])
    before = state(site)
    publish([], site, devices=[_file(tmp_path)])
    assert state(site) == before
    publish([], site, devices=[_file(tmp_path, os="iOS 19"), _file(tmp_path, "mac.json", device="arm64")])
    publish([], site, devices=[_file(tmp_path, os="iOS 19")], base_url="https://example.org/models/")
    assert len(index_of(site).devices) == 3
    assert all(device.url.startswith("https://example.org/models/devices/") for device in index_of(site).devices)
    assert check_site(site).faults == ()


def test_the_check_covers_the_sums(site: Path, tmp_path: Path) -> None:
    publish([], site, devices=[_file(tmp_path)])
    (path,) = (site / "devices").iterdir()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"iPhone15,2", b"iPhone15,3"))
    assert any(str(path) in fault and "SHA-256" in fault for fault in check_site(site).faults)
    path.unlink()
    assert any(str(path) in fault and "missing" in fault for fault in check_site(site).faults)
    path.write_bytes(content)
    (site / "devices" / "left-behind.json").write_text("{}")
    checked = check_site(site)
    assert checked.faults == ()
    assert "left-behind.json" in " ".join(checked.notes)
    publish([], site, devices=[_file(tmp_path, os="iOS 19")])
    assert not (site / "devices" / "left-behind.json").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 1},
        {"version": 3},
        {"device": 7},
        {"date": "yesterday"},
        {"more": "<script>"},
        {"results": {}},
        {"results": {"gradient": [0.25, 0.3]}},
        {"results": {"gradient": ["x"]}},
        {"results": {"gradient": [1.0] * 1001}},
        {"choices": {"gradient": 1}},
    ],
)
def test_hostile_files_are_refused_and_nothing_is_published(site: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    publish([], site, devices=[_file(tmp_path)])
    before = state(site)
    with pytest.raises(UserError, match=r"bad\.json"):
        publish([], site, devices=[_file(tmp_path, "good.json", os="iOS 19"), _file(tmp_path, "bad.json", **change)])
    assert state(site) == before


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff\xfe", b"null", b" " * 10_000_001])
def test_what_is_no_json_is_refused(site: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.json"):
        publish([], site, devices=[tmp_path / "bad.json"])
    assert not (site / "index.json").exists()


def test_names_of_files_are_our_own(site: Path, tmp_path: Path) -> None:
    hostile = {"device": "../../../etc/passwd\x00" + "a" * 200, "os": "\u202e%2e%2e/ CON"}
    publish([], site, devices=[_file(tmp_path, **hostile), _file(tmp_path, "b.json", device="日本", os="..")])
    long = "-".join(letter * 30 for letter in "abc") + " d e"
    publish([], site, devices=[_file(tmp_path, device=long, os=long)])
    names = sorted(path.name for path in (site / "devices").iterdir())
    assert len(names) == 3
    assert all(name.isascii() and name.replace("-", "").replace(".json", "").isalnum() for name in names)
    assert max(len(name) for name in names) < 240
    assert check_site(site).faults == ()


def test_a_link_out_of_the_catalogue_is_not_followed(site: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    site.mkdir(exist_ok=True)
    (site / "devices").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link to a place outside the catalogue"):
        publish([], site, devices=[_file(tmp_path)])
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_command_publishes_them(run: Run, site: Path, tmp_path: Path) -> None:
    ran = run("publish", "--to", site, "--device-results", _file(tmp_path))
    assert ran.status == 0, ran.err
    assert len(index_of(site).devices) == 1
    assert run("publish", "--check", site).status == 0
    assert run("publish", "--check", site, "--device-results", _file(tmp_path)).status == 2
    assert run("publish", "--to", site, "--device-results", _file(tmp_path, version=1)).status == 1
