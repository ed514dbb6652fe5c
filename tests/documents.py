"""Run every command that the documents show, in their order, in an empty clone: `python tests/documents.py`.

A comment in front of a block, which a reader of the page does not see, says what the runner needs to know:

    <!-- run
    first: COMMAND      what a reader is to have already; run before the block
    not: TEXT: REASON   lines with TEXT are not run (a phone, a download, no end); an empty TEXT: none of the block
    -->

Blocks of shell (lines that begin with a command of ours, or with "$ ") and of Python are run. Where a "$ " line is
followed by a complaint of ours, it must fail. What .ci/run runs itself (`make test`, ...) is not run twice.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# In the order in which somebody reads them; what one block makes, the next ones use.
DOCUMENTS = ("README.md", "docs/*.md", "CONTRIBUTING.md", "sample_models/*/README.md")
COMMANDS = ("make ", "coreml-updatable ", ".venv/bin/", "python ", "pip ")
BLOCK = re.compile(r"(?:^<!-- run\n(?P<said>.*?)^-->\n+)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
SECONDS = 1800  # of one command


@dataclass(frozen=True)
class Step:
    """One command, or a block of Python; ``reason``: why it is not run."""

    where: str
    text: str
    python: bool = False
    fails: bool = False
    reason: str = ""


def steps(root: Path) -> Iterator[Step]:
    """Everything the documents ask for, in order."""
    ci = (root / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    elsewhere = {word for line in ci if line.strip().startswith("part make ") for word in line.split()[2:]}
    for pattern in DOCUMENTS:
        for path in sorted(root.glob(pattern)):
            document = path.read_text(encoding="utf-8")
            for block in BLOCK.finditer(document):
                line = document.count("\n", 0, block.start("text")) + 1
                yield from _of_block(f"{path.relative_to(root)}:{line}", block, elsewhere)


def _of_block(where: str, block: "re.Match[str]", elsewhere: set[str]) -> Iterator[Step]:
    first, left_out = said(block["said"] or "")
    body = list(_commands(block["kind"], block["text"]))
    for text in left_out:
        if not any(text in entry.text for entry in body):
            raise SystemExit(f"{where}: no command has {text!r}, which its comment leaves out")
    if body:
        yield from (Step(where, command) for command in first)
    for item in body:
        reason = next((reason for text, reason in left_out.items() if text in item.text), "")
        targets = re.findall(r"[\w-]+", item.text.partition("#")[0])[1:] if item.text.startswith("make ") else []
        if targets and set(targets) <= elsewhere:
            reason = reason or ".ci/run does"
        yield Step(where, item.text, item.python, item.fails, reason)


def said(comment: str) -> tuple[list[str], dict[str, str]]:
    """The commands to run first, and which texts are left out for which reason."""
    first: list[str] = []
    left_out: dict[str, str] = {}
    for line in filter(None, map(str.strip, comment.splitlines())):
        word, _, rest = line.partition(":")
        if word == "first":
            first.append(rest.strip())
        elif word == "not" and ":" in rest:
            text, _, reason = rest.partition(":")
            left_out[text.strip()] = reason.strip()
        else:
            raise SystemExit(f"{line!r}: expected `first: COMMAND` or `not: TEXT: REASON`")
    return first, left_out


def _commands(kind: str, text: str) -> Iterator[Step]:
    if kind == "python" and ">>>" not in text:  # docs/python.md's are doctests, which the tests run
        yield Step("", text, python=True)
    lines = text.replace("\\\n", " ").splitlines() if kind in ("", "sh", "bash") else []
    prompted = any(line.startswith("$ ") for line in lines)
    for index, line in enumerate(lines):
        if prompted and line.startswith("$ "):
            answer = lines[index + 1] if index + 1 < len(lines) else ""
            yield Step("", line.removeprefix("$ "), fails=answer.startswith("coreml-updatable: "))
        elif not prompted and line.startswith(COMMANDS):
            yield Step("", line)


def clone(into: Path) -> Path:
    """An empty clone of what is committed; of a checkout without its history, a copy of its files."""
    folder = into / "clone"
    if (
        shutil.which("git") is None
        or subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=False).returncode
    ):
        result = shutil.ignore_patterns(".venv*", ".onnx", ".real", ".git", "build", "site", ".*_cache", "__pycache__")
        shutil.copytree(ROOT, folder, ignore=result)
    return folder


def run(step: Step, folder: Path, home: Path) -> str:
    """What is wrong with the outcome; "" for nothing."""
    path = f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    outside = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "VIRTUAL_ENV"))
    }
    command = [str(folder / ".venv" / "bin" / "python"), "-c", step.text] if step.python else ["bash", "-c", step.text]
    try:
        ran = subprocess.run(
            command,
            cwd=folder,
            env={**outside, **pip_settings(), "PATH": path, "HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"took longer than {SECONDS} s"
    if "Traceback (most recent call last)" in ran.stdout:
        return f"a traceback:\n{ran.stdout}"
    if step.fails != (ran.returncode != 0):
        return f"status {ran.returncode}{', expected a refusal' if step.fails else ''}:\n{ran.stdout}"
    return ""


def pip_settings() -> dict[str, str]:
    """What pip takes from the user's own folder: the files that it has downloaded, and where it downloads from."""
    settings = {"PIP_CACHE_DIR": str(Path.home() / ".cache" / "pip")}
    for name in (".pip/pip.conf", ".config/pip/pip.conf"):
        if (Path.home() / name).is_file():
            settings["PIP_CONFIG_FILE"] = str(Path.home() / name)
    return {name: os.environ.get(name, value) for name, value in settings.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description="Run every command of the documents in an empty clone.")
    parser.add_argument("--in", dest="folder", type=Path, help="a clone that is there already")
    parser.add_argument("--only", nargs="*", default=[""], help="documents whose place begins with one of these")
    parser.add_argument("--without", action="append", default=[], help="leave out commands that hold this text")
    given = parser.parse_args()
    passed = failed = left_out = 0
    with tempfile.TemporaryDirectory(prefix="documents-") as name:
        folder = given.folder.resolve() if given.folder else clone(Path(name))
        home = Path(name) / "home"
        home.mkdir()
        for step in steps(folder):
            if not step.where.startswith(tuple(given.only)) or any(text in step.text for text in given.without):
                continue
            shown = "Python" if step.python else " ".join(step.text.split())
            if step.reason:
                left_out += 1
                print(f"{'':8} {step.where}: {shown:.100}  (not run: {step.reason})", flush=True)
                continue
            started = time.monotonic()
            fault = run(step, folder, home)
            print(f"{time.monotonic() - started:6.1f} s {step.where}: {shown:.100}", flush=True)
            if fault:
                failed += 1
                print(f"{step.where}: {step.text}\n{fault}", flush=True)
                continue
            passed += 1
        print(f"{left_out} not run, each for the reason beside it")
        print(f"{passed} passed, {failed} failed", flush=True)  # before gigabytes are removed
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
