"""Timing functions against each other: in turns, so that whatever else the machine does falls on all of them."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

PAUSE = 0.3  # seconds before each run on several threads: a peer's waiting ones spin, on the next one's processors
LEAST = 3  # turns


def interleaved(
    functions: Mapping[str, Callable[[], Any]], repeats: int, *, threads: int, budget: float = 8.0
) -> dict[str, list[float]]:
    """The seconds of each function, up to ``repeats`` times, after one run of each that is not counted.

    No turn begins after ``budget`` seconds, but for the first ``LEAST``.
    """
    for function in functions.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    begun = time.perf_counter()
    for turn in range(repeats):
        if turn >= LEAST and time.perf_counter() - begun > budget:
            break
        for name, function in functions.items():
            if threads > 1:
                time.sleep(PAUSE)
                function()  # what slept is cold
            started = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(ours: Sequence[float], peer: Sequence[float]) -> float:
    """The median, over the turns, of ours / the peer's."""
    return statistics.median(item / other for item, other in zip(ours, peer, strict=True))


def milliseconds(seconds: Sequence[float]) -> str:
    """The median and the least."""
    return f"{statistics.median(seconds) * 1e3:.1f} ms (least {min(seconds) * 1e3:.1f})"
