"""Publishing into a folder: what is written, what stays, what is refused."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.check_site import check_site
from coreml_updatable.publishing.catalogue.index import Index
from coreml_updatable.publishing.catalogue.publish import publish
from coreml_updatable.publishing.catalogue.site_files import read_index, read_latest
from coreml_updatable.spec.messages import Model
from tests.cli.conftest import Run

MakeBuild = Callable[..., Path]


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file, its bytes and when it was written."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def index_of(site: Path) -> Index:
    index = read_index(site)
    assert index is not None
    return index


def versions(site: Path, name: str) -> list[str]:
    entry = index_of(site).entry(name)
    return [release.version for release in entry.versions] if entry else []


def test_every_file_is_listed_with_its_sum(make_build: MakeBuild, site: Path) -> None:
    build = make_build("Luncher")
    publish([build], site)
    (entry,) = json.loads((site / "index.json").read_text())["models"]
    (release,) = entry["versions"]
    listed = {file["file"]: file for file in (*release["models"], *release["files"])}
    assert set(listed) == {path.name for path in build.iterdir()}
    for name, file in listed.items():
        content = (site / file["url"]).read_bytes()
        assert content == (build / name).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert check_site(site).faults == ()


def test_the_facts_are_those_of_the_models(make_build: MakeBuild, site: Path) -> None:
    publish([make_build("Luncher")], site)
    network, knn = index_of(site).models[0].versions[0].models
    assert (network.role, network.layout, network.twin) == ("network", "single", "LuncherKNN.mlmodel")
    assert (knn.role, knn.layout, knn.twin) == ("k-NN", "pipeline", "Luncher.mlmodel")
    assert (network.labels, network.least_ios, network.specification_version) == (("fast-food", "healthy"), "iOS 13", 4)
    assert [one.name for one in network.inputs] == ["image"]
    assert [one.name for one in network.training_inputs] == ["image", "label"]
    assert network.update is not None
    assert network.update.layers == ("head",)
    epochs = next(one for one in network.update.parameters if one.name == "epochs")
    assert (epochs.default, epochs.allowed) == (3, (1, 2, 3, 10))
    assert knn.update is not None
    assert knn.update.parameters[0].range == (1.0, 15.0)
    assert network.accuracies[0].measured_on == "test pictures of the base's own kinds, before any update"


def test_the_index_follows_its_published_schema(make_build: MakeBuild, site: Path) -> None:
    publish([make_build("Luncher"), make_build("Digits")], site, base_url="https://example.org/m/")
    schema, index = (json.loads((site / name).read_text()) for name in ("index.schema.json", "index.json"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(index)
    index["models"][0]["versions"][0]["models"][0]["sha256"] = "no sum"
    index["models"][0]["surplus"] = 1
    assert {error.validator for error in validator.iter_errors(index)} == {"pattern", "additionalProperties"}


def test_the_same_bytes_again_change_nothing(make_build: MakeBuild, site: Path) -> None:
    build = make_build("Luncher")
    first = publish([build], site)
    before = state(site)
    again = publish([build], site)
    assert (first.new, again.new, again.unchanged) == ((("Luncher", "1.0"),), (), (("Luncher", "1.0"),))
    assert state(site) == before


def test_a_run_that_measured_other_times_changes_nothing(make_build: MakeBuild, site: Path) -> None:
    build = make_build("Luncher")
    publish([build], site)
    before = state(site)
    report = json.loads((build / "report.json").read_text())
    report["seconds"] = {"train": 99.0}
    report["comparison"]["network"]["extractor_ms"] = 99.0
    (build / "report.json").write_text(json.dumps(report))
    assert publish([build], site).kept_reports == ()
    assert state(site) == before


def test_a_report_that_says_something_else_is_told(make_build: MakeBuild, site: Path, run: Run) -> None:
    build = make_build("Luncher")
    publish([build, make_build("Digits")], site)
    before = state(site)
    report_with(build, description="Another sentence.")
    done = publish([build], site)
    assert (done.unchanged, done.kept_reports) == ((("Luncher", "1.0"),), (("Luncher", "1.0"),))
    assert state(site) == before
    ran = run("publish", build, "--to", site)
    assert ran.status == 0
    assert "note: Luncher 1.0: the build reports something else by now, and what is published stays; to" in ran.out
    told = json.loads(run("publish", build, "--to", site, "--json").out)
    assert told["kept_reports"] == [{"name": "Luncher", "version": "1.0"}]
    (build / "report.html").write_bytes(b"other")
    with pytest.raises(CatalogueError, match=r"report\.html: was changed since it was built; build the model again"):
        publish([build], site)


def test_other_bytes_under_an_old_version_are_refused(make_build: MakeBuild, site: Path) -> None:
    publish([make_build("Luncher")], site)
    before = state(site)
    with pytest.raises(CatalogueError, match=r"^Luncher 1\.0: is published as 1\.0 with other bytes.*; raise metadata"):
        publish([make_build("Digits"), make_build("Luncher", seed=2)], site)
    with pytest.raises(CatalogueError, match=r"^Luncher 1\.0\.0: is published as 1\.0 "):
        publish([make_build("Luncher", "1.0.0")], site)
    assert state(site) == before


def test_latest_is_the_highest_version_not_the_last(make_build: MakeBuild, site: Path) -> None:
    for version in ("1.9", "1.10", "1.2"):
        publish([make_build("Luncher", version)], site)
    assert versions(site, "Luncher") == ["1.10", "1.9", "1.2"]
    assert read_latest(site).models == {"Luncher": "1.10"}
    assert read_latest(site).serial == 3


def test_keep_removes_the_oldest(make_build: MakeBuild, site: Path) -> None:
    for version in ("1.0", "1.1", "2.0"):
        publish([make_build("Luncher", version), make_build("Digits")], site)
    done = publish([make_build("Luncher", "3.0")], site, keep=2)
    assert done.removed == (("Luncher", "1.0"), ("Luncher", "1.1"))
    assert versions(site, "Luncher") == ["3.0", "2.0"]
    assert versions(site, "Digits") == ["1.0"]
    assert sorted(path.name for path in (site / "models/Luncher").iterdir() if path.is_dir()) == ["2.0", "3.0"]
    assert check_site(site).faults == ()


def test_urls_are_relative_until_a_base_is_given(make_build: MakeBuild, site: Path) -> None:
    build = make_build("Luncher")
    publish([build], site)
    assert index_of(site).models[0].versions[0].models[0].url == "models/Luncher/1.0/Luncher.mlmodel"
    publish([], site, base_url="https://example.org/m/")
    publish([build], site)  # the base stays
    url = "https://example.org/m/models/Luncher/1.0/Luncher.mlmodel"
    assert index_of(site).models[0].versions[0].models[0].url == url
    assert check_site(site).faults == ()


def no_version(models: dict[str, Model]) -> None:
    for model in models.values():
        model.description.metadata.versionString = "one"


def two_versions(models: dict[str, Model]) -> None:
    models["LuncherKNN.mlmodel"].description.metadata.versionString = "1.1"


def broken(models: dict[str, Model]) -> None:
    del models["Luncher.mlmodel"].description.trainingInput[:]


def of_the_future(models: dict[str, Model]) -> None:
    models["Luncher.mlmodel"].specificationVersion = 99


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (no_version, r"Luncher\.mlmodel: its version is 'one', expected numbers with dots such as 1\.0; set metadata"),
        (two_versions, r"LuncherKNN\.mlmodel: its version is 1\.1, that of Luncher\.mlmodel 1\.0; build both again$"),
        (broken, r"Luncher\.mlmodel: is not published, for .* \(error "),
        (of_the_future, r"Luncher\.mlmodel: (is not published, for .*version|specification version 99)"),
    ],
)
def test_a_model_that_is_not_fit_is_refused(make_build: MakeBuild, site: Path, change: Any, sentence: str) -> None:
    publish([make_build("Digits")], site)
    before = state(site)
    with pytest.raises(CatalogueError, match=sentence):
        publish([make_build("Salads"), make_build("Luncher", change=change)], site)
    assert state(site) == before


def report_with(build: Path, **fields: Any) -> Path:
    report = json.loads((build / "report.json").read_text())
    (build / "report.json").write_text(json.dumps({**report, **fields}))
    return build


def test_what_is_no_build_is_refused(make_build: MakeBuild, site: Path, tmp_path: Path) -> None:
    def refused(build: Path, sentence: str) -> None:
        with pytest.raises(CatalogueError, match=sentence):
            publish([build], site)
        assert state(site) == {}

    refused(tmp_path / "nowhere", r"nowhere: no such folder, expected what a build wrote; run `coreml-updatable build`")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"empty: has no report\.json, expected what a build wrote")
    (tmp_path / "empty/report.json").write_text("[1]")
    refused(tmp_path / "empty", r"report\.json: is no report of a build; build the model again")
    refused(report_with(make_build("A1"), schema=2), r"report\.json: is of schema 2, expected 1; build the model again")
    refused(report_with(make_build("A2"), labels=3), r"report\.json: labels: Input should be .*; build the model again")
    refused(report_with(make_build("A3"), files={}), r"its report lists no \.mlmodel file of its models")
    outside = {"../escaped.mlmodel": {"sha256": "0" * 64}}
    refused(
        report_with(make_build("A4"), files=outside), r"lists a file '\.\./escaped\.mlmodel', expected a plain name"
    )
    gone = make_build("A5")
    (gone / "A5.mlmodel").unlink()
    refused(gone, r"A5\.mlmodel: is missing, expected as report\.json lists it; build the model again")
    changed = make_build("A6")
    (changed / "A6.mlmodel").write_bytes(b"other")
    refused(changed, r"A6\.mlmodel: was changed since it was built; build the model again")
    for name in ("../../up", "a/b", "..", "", "Å", "x" * 65):
        refused(report_with(make_build("A7"), name=name), r"report\.json: name: ")


def test_two_models_of_one_name_are_refused(make_build: MakeBuild, site: Path) -> None:
    with pytest.raises(CatalogueError, match=r"Luncher-2\.0-1: its model is called Luncher, as that of .*; rename one"):
        publish([make_build("Luncher"), make_build("Luncher", "2.0")], site)
    assert state(site) == {}
    publish([make_build("Luncher")], site)
    with pytest.raises(CatalogueError, match=r"^LUNCHER: the catalogue has a model Luncher, told apart by case only"):
        publish([make_build("LUNCHER")], site)


def test_an_index_of_a_newer_schema_is_left_alone(make_build: MakeBuild, site: Path) -> None:
    build = make_build("Luncher")
    publish([build], site)
    path = site / "index.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    before = state(site)
    with pytest.raises(CatalogueError, match=r"index\.json: is of schema 2, expected 1; use a newer coreml_updatable"):
        publish([build], site)
    assert state(site) == before


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"name": "Luncher"', '"name": "../up"', r"models\.0\.name: String should match"),
        ('"version": "1.0"', '"version": "../.."', r"models\.0\.versions\.0\.version: String should match"),
        ('"file": "Luncher.mlmodel"', '"file": "../../../x.y"', r"file: String should match"),
        ('"schema": 1', '"schema": "x"', "is of schema 'x', expected 1; restore it from a copy"),
        ("{", "", "is not JSON of a catalogue; restore it from a copy"),
    ],
)
def test_an_index_that_leads_out_is_refused(
    make_build: MakeBuild, site: Path, old: str, new: str, sentence: str
) -> None:
    build = make_build("Luncher")
    publish([build], site)
    path = site / "index.json"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(CatalogueError, match=sentence):
        publish([build], site, keep=1)
    with pytest.raises(CatalogueError, match=sentence):
        check_site(site)


def test_a_link_that_leads_out_is_not_followed(make_build: MakeBuild, site: Path, tmp_path: Path) -> None:
    publish([make_build("Luncher")], site)
    outside = tmp_path / "outside"
    (outside / "2.0").mkdir(parents=True)
    (outside / "2.0/precious").write_text("precious")
    (site / "models/Digits").symlink_to(outside)
    with pytest.raises(CatalogueError, match=r"a link leads out of the catalogue.*; remove the link$"):
        publish([make_build("Digits", "2.0")], site)
    assert (outside / "2.0/precious").read_text() == "precious"
    assert any("is a link, expected files and folders only" in fault for fault in check_site(site).faults)


def test_a_second_publisher_is_told(make_build: MakeBuild, site: Path) -> None:
    from coreml_updatable.publishing.catalogue.alone import publishing_alone

    with (
        publishing_alone(site),
        pytest.raises(CatalogueError, match="another publisher is at work; wait for it and run again"),
    ):
        publish([make_build("Luncher")], site)
    site.with_name("file").write_text("")
    with pytest.raises(CatalogueError, match="a file is in the way, expected a folder; choose another --to"):
        publish([make_build("Luncher")], site.with_name("file"))


KILLED = """
import os, shutil, sys
from pathlib import Path
from coreml_updatable.publishing.catalogue.check_site import check_site
from coreml_updatable.publishing.catalogue.publish import publish
from coreml_updatable.publishing.catalogue.site_files import read_latest

stride = int(sys.argv[1])
site, *builds = map(Path, sys.argv[2:])
left = [-1]

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir")

def hook(event, arguments):
    if left[0] >= 0 and (event in CHANGES or (event == "open" and arguments[2] & os.O_CREAT)):
        left[0] -= 1
        if left[0] < 0:
            os._exit(9)

sys.addaudithook(hook)
kills, status = 0, 9
while status == 9:
    copy = site.with_name(f"copy-{kills}")
    shutil.copytree(site, copy)
    child = os.fork()
    if not child:
        left[0] = kills
        publish(builds, copy, keep=1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    checked = check_site(copy)
    assert not checked.faults, (kills, checked)
    if kills // stride % 5 == 1:
        publish(builds, copy, keep=1)
        checked = check_site(copy)
        assert not checked.faults + checked.notes, (kills, checked)
        assert set(read_latest(copy).models.values()) == {"2.0"}
        assert {path.name for path in copy.rglob(".*")} == {".lock"}, (kills, list(copy.rglob(".*")))
    shutil.rmtree(copy)
    kills += stride
assert status == 0, status
print(kills)
"""


@pytest.mark.parametrize("stride", [37, pytest.param(1, marks=pytest.mark.slow)])
def test_a_publisher_killed_at_any_change_leaves_a_whole_catalogue(
    make_build: MakeBuild, site: Path, stride: int
) -> None:
    """Killed before each (or 37th) rename, removal, new folder and new file; now and then the next one finishes."""
    publish([make_build("Luncher"), make_build("Digits")], site)
    builds = [make_build(name, "2.0") for name in ("Luncher", "Digits", "Salads")]
    command = [sys.executable, "-c", KILLED, str(stride), str(site), *map(str, builds)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= 37


LIMITED = """
import resource, signal, sys
from pathlib import Path
from coreml_updatable.publishing.catalogue.publish import publish

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for room in (1000, 4000, 20_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        publish([Path(sys.argv[2])], Path(sys.argv[1]))
    except OSError as error:
        print(error.strerror, error.filename)
"""


def test_a_full_target_leaves_the_catalogue(make_build: MakeBuild, site: Path) -> None:
    """No file may grow over some bytes, so that the first to do so fails as on a full disk."""
    publish([make_build("Luncher")], site)
    before = state(site)
    command = [sys.executable, "-c", LIMITED, str(site), str(make_build("Digits", "2.0"))]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [re.fullmatch(r"File too large .*/site/.*", line) is not None for line in ran.stdout.splitlines()] == [
        True
    ] * 3
    assert state(site) == before


FORBIDDEN = """
import os, shutil, sys, tempfile
from pathlib import Path
from coreml_updatable.cli import main

def publish(build, site):
    sys.argv = ["coreml-updatable", "publish", str(build), "--to", str(site)]
    try:
        main()
    except SystemExit as left:
        return left.code or 0
    return 0

def state(site):
    return {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    builds = [Path(shutil.copytree(build, folder / f"build{number}")) for number, build in enumerate(sys.argv[1:])]
    assert publish(builds[0], folder / "site") == 0
    before = state(folder / "site")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() == 0:  # may write everywhere; another user may not
        os.seteuid(65534)
    status = [publish(builds[1], site) for site in (folder / "site", folder / "new" / "site")]
    os.seteuid(os.getuid())
    assert state(folder / "site") == before
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
print(status)
"""


def test_a_read_only_target_is_one_sentence(make_build: MakeBuild) -> None:
    command = [sys.executable, "-c", FORBIDDEN, str(make_build("Luncher")), str(make_build("Digits"))]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.splitlines()[-1:]) == (0, ["[1, 1]"]), ran.stderr
    old, new = ran.stderr.splitlines()
    assert re.fullmatch(r"coreml-updatable: .*/site/\.lock: .*[Pp]ermission denied.*", old), old
    assert re.fullmatch(r"coreml-updatable: .*/new.*[Pp]ermission denied.*", new), new
