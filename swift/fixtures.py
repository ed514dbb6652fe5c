"""What the Swift tests need: models, golden vectors, photos and catalogues, below FIXTURES: `python -m swift.fixtures`.

All commands run in one process, which loads torch once.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import coreml_updatable as cu
from coreml_updatable.cli.app import main
from coreml_updatable.marking.classifier import write_labels
from swift.toolchain import CHECKOUT
from tests.draw_meals import main as draw_meals

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
    small = {"drawn_per_kind": "100", "seeds": "[0]", "shots": "[3]", "held_out": "20", "snapshots": "0"}
    first = sample("healthy_luncher", "first", **small)
    second = sample("healthy_luncher", "second", REPLAY, seed="2", version='"1.1"', **small)
    always = '2\nwhen = "always"'
    pose = sample("hand_pose", "pose", per_class=always, seeds="[0]", shots="[3]", snapshots="0", drawn_per_kind="150")
    for recipe in (pose, first, second):
        command("build", recipe, "--out", FIXTURES)
    number_labels(FIXTURES / "pose/HandPose.mlmodel", FIXTURES / "pose/HandPoseNumbers.mlmodel")
    draw_meals(str(FIXTURES / "photos"), "35", "1000", "burger", "pancakes")
    key, stranger = FIXTURES / "key", FIXTURES / "stranger"
    command("keygen", key)
    command("keygen", stranger)
    old, site = FIXTURES / "old", FIXTURES / "site"
    command("publish", FIXTURES / "first", FIXTURES / "pose", "--to", old, "--sign", key)
    shutil.copytree(old, site)
    command("publish", FIXTURES / "second", "--to", site, "--sign", key)
    command("publish", FIXTURES / "first", "--to", FIXTURES / "unknown", "--sign", stranger)
    command("publish", FIXTURES / "first", "--to", FIXTURES / "unsigned")
    # The key is changed: both count, then only the next one.
    both, after, successor = FIXTURES / "both", FIXTURES / "next", FIXTURES / "successor"
    command("keygen", successor)
    shutil.copytree(site, both)
    command("publish", "--to", both, "--sign", key, "--sign", successor)
    shutil.copytree(both, after)
    command("publish", "--to", after, "--sign", successor, "--revoke", f"{key}.pub")
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


def number_labels(source: Path, to: Path) -> None:
    """The network ``source`` with the numbers of its labels in place of them."""
    model = cu.load(source).message
    write_labels(model, tuple(range(len(model.neuralNetworkClassifier.stringClassLabels.vector))))
    cu.save(model, to)


def command(*words: object) -> None:
    """Run a command of coreml-updatable; one that fails ends this program."""
    sys.argv = ["coreml-updatable", *map(str, words)]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise


def run(command: list[str], **environment: str) -> str:
    """What it printed; a command that fails ends this program with what it wrote."""
    facts = {**os.environ, **environment}
    ran = subprocess.run(command, cwd=CHECKOUT, env=facts, check=False, capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"{ran.stdout}{ran.stderr}\nswift: {' '.join(command)} ended with status {ran.returncode}")
    return ran.stdout


if __name__ == "__main__":
    fixtures()
