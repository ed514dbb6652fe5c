"""Timing a command as a whole process: wall seconds and peak memory.

Linux counts what a process held when it started another one as that one's peak. So every command is started by a small
process, whatever the benchmark itself has loaded.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COMMAND = str(Path(__file__).parents[1] / ".venv" / "bin" / "coreml-updatable")
STARTER = """
import json, os, subprocess, sys, time
report, *arguments = sys.argv[1:]
started = time.perf_counter()
process = subprocess.Popen(arguments)
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - started
unit = 1 if sys.platform == "darwin" else 1024
with open(report, "w") as file:
    json.dump([seconds, usage.ru_maxrss * unit / 2**20, os.waitstatus_to_exitcode(status)], file)
"""


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_megabytes: float


def measure(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, *, status: int = 0
) -> Measured:
    """Run ``arguments`` in ``folder`` once; another exit status than ``status`` ends the benchmark."""
    return measured(arguments, folder, environment, status=status)[0]


def measured(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, *, status: int = 0
) -> tuple[Measured, str]:
    """Also what the command printed."""
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.json"
        starter = [sys.executable, "-I", "-S", "-c", STARTER, str(report), *arguments]
        ran = subprocess.run(
            starter, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
        seconds, peak, actual = json.loads(report.read_text()) if report.exists() else (0.0, 0.0, ran.returncode)
    if actual != status:
        sys.exit(f"{' '.join(arguments)}: {ran.stdout}{ran.stderr}")
    return Measured(seconds, peak), ran.stdout


def best_of(runs: int, arguments: Sequence[str], folder: Path) -> Measured:
    """The quickest of several runs: what the command costs when nothing else disturbs it."""
    return min((measure(arguments, folder) for _ in range(runs)), key=lambda item: item.seconds)
