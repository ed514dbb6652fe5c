"""Set how many threads compute: one for each processor that this process may use, or as many as ``--threads`` says.

With more threads than processors (in a container with a quota, for example), threads wait for each other by spinning,
and the work takes ten times as long. Nothing heavy is imported here, because the variables must be set before NumPy and
torch are imported.
"""

import math
import os
import sys
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
VARIABLE = "OMP_NUM_THREADS"
_VARIABLES = (VARIABLE, "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Threads that wait leave the processors to others; those of GNU's OpenMP after a short spin, in which most waits end.
WAITING = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}


def usable(groups: Path = CGROUPS, own: Path = OWN) -> int:
    """Return how many processors this process may use, by its affinity and the quotas of its control groups."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for quota in (*_second(groups, own), *_first(groups, own)) if quota > 0]
    return max(1, min([count, *(math.ceil(quota) for quota in quotas)]))


def set_threads(count: int | None = None) -> None:
    """Let at most ``count`` threads compute, or as many as processors are usable, unless the environment says how many.

    Before NumPy and torch are imported it holds for both; later for torch alone.
    """
    for name, value in WAITING.items():
        os.environ.setdefault(name, value)
    if count is None and os.environ.get(VARIABLE, "").isdigit():
        return
    chosen = usable() if count is None else count
    for name in _VARIABLES:
        os.environ[name] = str(chosen)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(chosen)


def _second(groups: Path, own: Path) -> list[float]:
    """Return the quotas of control groups version 2: of the process's group and of all groups above it."""
    result = []
    for folder in _folders(groups, _named(own, "")):
        try:
            quota, period = (folder / "cpu.max").read_text().split()[:2]
            result.append(int(quota) / int(period))
        except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
            continue
    return result


def _first(groups: Path, own: Path) -> list[float]:
    """Return the quotas of control groups version 1."""
    result = []
    for folder in _folders(groups / "cpu", _named(own, "cpu")):
        try:
            quota = int((folder / "cpu.cfs_quota_us").read_text())
            result.append(quota / int((folder / "cpu.cfs_period_us").read_text()))
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return result


def _named(own: Path, controller: str) -> str:
    """Return the path of the process's group."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return "/"
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controller in controllers.split(","):
            return path
    return "/"


def _folders(root: Path, path: str) -> list[Path]:
    """Return the group's folder and those above it. In a container, the path may exist on the host only."""
    parts = [part for part in path.split("/") if part not in ("", "..", ".")]
    return [root.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
