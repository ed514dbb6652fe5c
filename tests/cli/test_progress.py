"""Progress of a build: a line per stage in a log, bars on a terminal, nothing when quiet."""

import os
import pty
import re
import subprocess
import sys
import time

import pytest

from coreml_updatable.cli import progress
from coreml_updatable.cli.progress import watched

PROGRAM = """
from coreml_updatable.cli.progress import watched
with watched(quiet=False) as tell:
    for stage in ("pictures", "comparison"):
        for fraction in (0.0, 0.5, 1.0):
            tell(stage, fraction, f"[bold]{fraction}[/bold] " + "and a long detail " * 10)
"""


def test_a_line_a_stage_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with watched(quiet=False) as tell:
        for fraction, detail in ((0.0, ""), (0.5, "half [way]"), (1.0, "[all] of it")):
            tell("pictures", fraction, detail)
        tell("source", 0.3, "incomplete")
    output, said = capsys.readouterr()
    assert output == ""
    assert re.fullmatch(r"pictures +0\.0 s  \[all\] of it\n", said)


def test_a_long_stage_keeps_telling_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A build of minutes whose log stays silent looks as if it hung."""
    with progress._lines(0.01) as tell:
        tell("source", 0.25, "epoch 3")
        said = ""
        for _ in range(1000):
            said += capsys.readouterr().err
            if said.count("\n") >= 2:
                break
            time.sleep(0.01)
        tell("source", 1.0, "trained")
    *lines, last = (said + capsys.readouterr().err).splitlines()
    assert len(lines) >= 2
    assert all(re.fullmatch(r"source +\d+\.\d s   25%  epoch 3", line) for line in lines)
    assert re.fullmatch(r"source +\d+\.\d s  trained", last)


def test_nothing_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with watched(quiet=True) as tell:
        tell("pictures", 1.0, "done")
    assert capsys.readouterr() == ("", "")


def test_bars_on_a_narrow_terminal_keep_the_names_whole() -> None:
    """A real pseudo-terminal of 80 columns."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stderr=follower, env=environment) as process:
        os.close(follower)
        said = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not part:
                break
            said += part
    os.close(leader)
    assert process.returncode == 0
    last = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in said.decode().splitlines()][-3:]
    rows = [line for line in last if line.strip()]
    assert [row.split()[0] for row in rows] == ["pictures", "comparison"]
    assert all("[bold]1.0[/bold] and a" in row for row in rows)
    assert all(len(row.rstrip("\r")) <= 80 for row in rows)
