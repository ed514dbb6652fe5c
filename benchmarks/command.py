"""Timing a command as a whole process: wall seconds and peak memory of it and its children."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COMMAND = str(Path(__file__).parents[1] / ".venv" / "bin" / "coreml-updatable")


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_megabytes: float


def measure(arguments: Sequence[str], folder: Path) -> Measured:
    """Run ``arguments`` in ``folder`` once; a failing command ends the benchmark with its own words."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(arguments, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            sys.exit(f"{' '.join(arguments)}: {output.read().decode(errors='replace')}")
    return Measured(seconds, usage.ru_maxrss / 1024)


def best_of(runs: int, arguments: Sequence[str], folder: Path) -> Measured:
    """The quickest of several runs: what the command costs when nothing else disturbs it."""
    return min((measure(arguments, folder) for _ in range(runs)), key=lambda one: one.seconds)
