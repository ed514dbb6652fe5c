"""How busy other programs keep the machine: measured against a program that does, and said where times are shown."""

import os
import subprocess
import sys
import time

import pytest

from coreml_updatable import machine
from coreml_updatable.machine import Moment, busy_note, now, others_since

SECONDS = 1.5


def test_another_program_counts_and_this_one_does_not() -> None:
    """Both compute all the time: of one processor they have a half each, of more at least one each."""
    started, ends = now(), time.perf_counter() + SECONDS
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        while time.perf_counter() < ends:
            pass
        measured = others_since(started)
        other.kill()
    assert 0.3 < measured < (os.cpu_count() or 1)


@pytest.mark.parametrize(("idle", "own", "expected"), [(20.0, 20.0, 0.0), (10.0, 20.0, 1.0), (0.0, 10.0, 3.0)])
def test_what_is_neither_idle_nor_this_process_is_other_programs(
    monkeypatch: pytest.MonkeyPatch, idle: float, own: float, expected: float
) -> None:
    """Ten seconds of four processors: forty seconds of a processor in all."""
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(machine, "now", lambda: Moment(110.0, 1000.0 + idle, 5.0 + own))
    assert others_since(Moment(100.0, 1000.0, 5.0)) == expected


def test_times_are_marked_only_where_others_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert busy_note(0.2) == ""
    assert "1.5 of 4" in busy_note(1.5)
