"""The most memory that a process has held, in bytes."""

import resource
import sys
from pathlib import Path


def most_memory() -> int:
    """On Linux since the program began: what ``getrusage`` tells is inherited from the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
