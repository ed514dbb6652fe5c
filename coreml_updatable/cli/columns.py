"""Rows of text set in columns, and titles that stand out on a terminal: all that a page of a model needs."""

import os
import sys
from collections.abc import Iterator, Sequence

from coreml_updatable.cli.plain import plain

_GAP = "    "
_WIDEST = 60  # a longer cell does not push the next column further to the right


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """One line a row, its cells one below the other; whatever in a cell could steer the terminal is escaped."""
    cells = [[plain(cell) for cell in row] for row in rows]
    count = max((len(row) for row in cells), default=0)
    widths = [max((len(row[at]) for row in cells if at < len(row)), default=0) for at in range(count)]
    for row in cells:
        padded = (cell.ljust(min(widths[at], _WIDEST)) for at, cell in enumerate(row))
        yield f"  {_GAP.join(padded)}".rstrip()


def title(text: str) -> str:
    """In bold, where a terminal reads along that did not ask for plain text."""
    shown = plain(text)
    styled = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[1m{shown}\x1b[0m" if styled else shown
