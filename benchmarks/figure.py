"""One line of the table: what was measured, a peer doing the same beside it, and the bound."""

from dataclasses import dataclass

from benchmarks.command import Measured


@dataclass(frozen=True)
class Figure:
    """``ours`` and ``peer`` as they are printed, with their units."""

    what: str
    ours: str
    bound: str
    peer: str = ""


def command_figure(what: str, measured: Measured, bound: str) -> Figure:
    return Figure(what, f"{measured.seconds:.2f} s, {measured.peak_megabytes:.0f} MB", bound)
