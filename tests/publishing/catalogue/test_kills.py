"""A hundred publishers killed by SIGKILL at moments drawn at random: `publish --check` finds every state whole."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from coreml_updatable.publishing.catalogue.signing import make_keys, read_private_key, read_public_key
from tests.publishing.catalogue.conftest import MakeBuild

pytestmark = pytest.mark.slow
KILLS, VERSIONS = 100, ("1.0", "1.1", "1.2", "1.3")

PROGRAM = """
import json, os, random, signal, sys, time
from pathlib import Path
from coreml_updatable.cli import main
from coreml_updatable.publishing.catalogue.signing import read_private_key
from coreml_updatable.publishing.catalogue.publish import publish

folder, wanted, rounds = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
key, draw = read_private_key(folder / "key", folder / "site0"), random.Random(1)

def in_a_child(action):
    child = os.fork()
    if not child:
        try:
            action()
        except SystemExit as left:
            os._exit(left.code or 0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(70)
        os._exit(0)
    return child

def status_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def check(site):
    sys.argv = ["coreml-updatable", "publish", "--check", str(site), "--public-key", str(folder / "key.pub")]
    main()

kills = finished = sites = number = 0
seconds = 0.5
while kills < wanted:
    site = folder / f"site{sites}"
    builds = [Path(build) for build in rounds[number]]
    started = time.monotonic()
    child = in_a_child(lambda: publish(builds, site, key=key, keep=2))
    if number:  # before the first release there is no catalogue to check
        time.sleep(draw.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
    status = status_of(child)
    assert status in (0, -signal.SIGKILL), status
    if status == 0:
        finished += 1
        if not number:
            seconds = time.monotonic() - started
        number += 1
        if number == len(rounds):
            number, sites = 0, sites + 1
    else:
        kills += 1
    assert status_of(in_a_child(lambda: check(site))) == 0, (kills, site)
print(json.dumps([kills, finished]))
"""


def test_every_state_a_killed_publisher_leaves_is_whole(make_build: MakeBuild, tmp_path: Path) -> None:
    make_keys(tmp_path / "key")
    assert read_private_key(tmp_path / "key", tmp_path / "site0").public_key() == read_public_key(tmp_path / "key.pub")
    rounds = [[str(make_build(name, version)) for name in ("Luncher", "Digits")] for version in VERSIONS]
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(KILLS), json.dumps(rounds)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    kills, finished = json.loads(ran.stdout.splitlines()[-1])
    assert (kills, finished > 0) == (KILLS, True)
    assert ran.stdout.count("all checksums and links are correct") == kills + finished
