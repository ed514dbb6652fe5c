"""One line of the table: what was measured, peers doing the same beside it, and the bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.command import Measured
from benchmarks.interleaved import milliseconds


@dataclass(frozen=True)
class Figure:
    """``ours`` and ``peer`` as they are printed, with their units; ``engine`` ran ours; ``seconds`` of each turn."""

    what: str
    ours: str
    bound: str
    peer: str = ""
    engine: str = ""
    seconds: Mapping[str, Sequence[float]] = field(default_factory=dict)


def command_figure(what: str, measured: Measured, bound: str) -> Figure:
    return Figure(what, f"{measured.seconds:.2f} s, {measured.peak_megabytes:.0f} MB", bound)


def peers_in_words(times: Mapping[str, Sequence[float]]) -> str:
    """Every peer's own time; "ours" is none."""
    return ", ".join(f"{milliseconds(taken)} {name}" for name, taken in times.items() if name != "ours")
