"""What the Swift tests need: models, golden vectors, photos and catalogues, below FIXTURES."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from swift.toolchain import CHECKOUT

PYTHON = CHECKOUT / ".venv/bin/python"
COMMAND = CHECKOUT / ".venv/bin/coreml-updatable"
WORK = CHECKOUT / "build/swift"
FIXTURES = WORK / "fixtures"
REPLAY = '\n[replay]\nper_class = 2\nwhen = "always"\n'


def fixtures() -> None:
    """Two versions of healthy_luncher in both layouts, hand_pose, photos, and catalogues, below FIXTURES."""
    stamp, version = FIXTURES / "complete", hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == version:
        return
    shutil.rmtree(FIXTURES, ignore_errors=True)
    FIXTURES.mkdir(parents=True)
    # Smaller than the samples, for time; another seed gives another network, which is all that a newer base has to be.
    small = {"drawn_per_kind": "100", "seeds": "[0]", "shots": "[3]", "held_out": "20"}
    first = sample("healthy_luncher", "first", **small)
    second = sample("healthy_luncher", "second", seed="2", version='"1.1"', **small)
    pose = sample("hand_pose", "pose", REPLAY, seeds="[0]", shots="[3]")
    for recipe in (pose, first, second):
        run([str(COMMAND), "build", str(recipe), "--out", str(FIXTURES)])
    run([str(PYTHON), "tests/draw_meals.py", str(FIXTURES / "photos"), "35", "1000", "burger", "pancakes"])
    key = FIXTURES / "key"
    run([str(COMMAND), "keygen", str(key)])
    run([str(COMMAND), "keygen", str(FIXTURES / "stranger")])
    old, site = FIXTURES / "old", FIXTURES / "site"
    run(
        [str(COMMAND), "publish", str(FIXTURES / "first"), str(FIXTURES / "pose"), "--to", str(old), "--sign", str(key)]
    )
    shutil.copytree(old, site)
    run([str(COMMAND), "publish", str(FIXTURES / "second"), "--to", str(site), "--sign", str(key)])
    unknown = FIXTURES / "unknown"
    run([str(COMMAND), "publish", str(FIXTURES / "first"), "--to", str(unknown), "--sign", str(FIXTURES / "stranger")])
    run([str(COMMAND), "publish", str(FIXTURES / "first"), "--to", str(FIXTURES / "unsigned")])
    # The key is changed: both count, then only the next one.
    both, after, successor = FIXTURES / "both", FIXTURES / "next", FIXTURES / "successor"
    run([str(COMMAND), "keygen", str(successor)])
    shutil.copytree(site, both)
    run([str(COMMAND), "publish", "--to", str(both), "--sign", str(key), "--sign", str(successor)])
    shutil.copytree(both, after)
    run([str(COMMAND), "publish", "--to", str(after), "--sign", str(successor), "--revoke", f"{key}.pub"])
    (FIXTURES / "public-key.txt").write_text((site / "public-key.txt").read_text().strip())
    stamp.write_text(version)


def sample(name: str, to: str, more: str = "", **changes: str) -> Path:
    """A copy of a sample with the split layout, ``more`` tables, and other values for fields of its recipe."""
    folder = WORK / "recipes" / to
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CHECKOUT / "sample_models" / name, folder)
    recipe = folder / "recipe.toml"
    text = recipe.read_text()
    for field, value in changes.items():
        text, count = re.subn(rf"^{field} = .*$", f"{field} = {value}", text, count=1, flags=re.MULTILINE)
        assert count == 1, field
    recipe.write_text('layouts = ["split"]\n' + text + more)
    tomllib.loads(recipe.read_text())
    return recipe


def run(command: list[str], **environment: str) -> str:
    """What it printed; a command that fails ends this program with what it wrote."""
    told = {**os.environ, **environment}
    ran = subprocess.run(command, cwd=CHECKOUT, env=told, check=False, capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"{ran.stdout}{ran.stderr}\nswift: {' '.join(command)} ended with status {ran.returncode}")
    return ran.stdout
