"""Publishers that are killed, or cannot write: whatever is found is a whole catalogue."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from coreml_updatable.publishing.catalogue import publish as publishing
from coreml_updatable.publishing.catalogue.check_site import check_site
from coreml_updatable.publishing.catalogue.index import Index
from coreml_updatable.publishing.catalogue.places import remove_unnamed
from coreml_updatable.publishing.catalogue.publish import _write_pages, publish
from tests.publishing.catalogue.sites import MakeBuild, state

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


def test_one_killed_after_another_that_was(make_build: MakeBuild, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first leaves pages that link to a release of which the index says nothing any more; the second clears up."""
    publish([make_build("Luncher", "1.0")], site)

    def killed_before_the_pages(folder: Path, index: Index, key: Sequence[str]) -> None:
        if len(index.models[0].versions) == 1:
            raise KeyboardInterrupt
        _write_pages(folder, index, key)

    monkeypatch.setattr(publishing, "_write_pages", killed_before_the_pages)
    with pytest.raises(KeyboardInterrupt):
        publish([make_build("Luncher", "2.0")], site, keep=1)
    assert check_site(site).faults == ()
    assert [note.partition(": ")[0] for note in check_site(site).notes] == [
        str(site / "models/Luncher/1.0"),
        str(site / "latest.json"),  # of the serial before
    ]

    def killed_after_clearing_up(folder: Path, index: Index) -> None:
        remove_unnamed(folder, index)
        raise KeyboardInterrupt

    monkeypatch.setattr(publishing, "_write_pages", _write_pages)
    monkeypatch.setattr(publishing, "remove_unnamed", killed_after_clearing_up)
    with pytest.raises(KeyboardInterrupt):
        publish([make_build("Luncher", "2.0")], site)
    assert not (site / "models/Luncher/1.0").exists()
    assert check_site(site).faults == ()


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
