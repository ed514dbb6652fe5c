"""What times are measured on: this machine, and how busy other programs keep it meanwhile."""

import os
import platform
import time
from dataclasses import dataclass

BUSY = 0.1  # of the processors, taken by other programs, from which times are marked


def described() -> str:
    """Return the number of processors, their kind and the system, such as "2 cores, x86_64, Linux"."""
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"


@dataclass(frozen=True)
class Moment:
    """Seconds: of a clock, that all processors were idle since the start, and that this process computed."""

    wall: float
    idle: float
    own: float


def now() -> Moment:
    import psutil

    times = psutil.cpu_times()
    return Moment(time.perf_counter(), times.idle + getattr(times, "iowait", 0.0), sum(os.times()[:4]))


def others_since(start: Moment) -> float:
    """Return how many processors other programs used since ``start``, on average."""
    end, count = now(), os.cpu_count() or 1
    wall = max(end.wall - start.wall, 1e-3)
    free, own = (end.idle - start.idle) / wall, (end.own - start.own) / wall
    return round(min(max(count - free - own, 0.0), float(count)), 2)


def busy_note(others: float) -> str:
    """Return a sentence that marks times measured while other programs used ``others`` processors; "" for few."""
    count = os.cpu_count() or 1
    if others < BUSY * count:
        return ""
    return (
        f"Other programs used {others:.1f} of {count} processors while this was measured, so its times are longer than "
        "on an idle machine."
    )
