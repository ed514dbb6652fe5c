"""Timing functions against each other: in turns, so that whatever else the machine does falls on all of them."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

PAUSE = 0.3  # seconds before each run: a peer's waiting threads spin for a while, on the next one's processors


def interleaved(functions: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """The seconds of each function, ``repeats`` times, after one run of each that is not counted."""
    for function in functions.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            time.sleep(PAUSE)
            started = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(ours: Sequence[float], peer: Sequence[float]) -> float:
    """The median, over the turns, of ours / the peer's."""
    return statistics.median(one / other for one, other in zip(ours, peer, strict=True))


def milliseconds(seconds: Sequence[float]) -> str:
    """The median and the least."""
    return f"{statistics.median(seconds) * 1e3:.1f} ms (least {min(seconds) * 1e3:.1f})"
