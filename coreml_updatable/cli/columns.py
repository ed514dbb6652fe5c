"""Rows of text set in columns."""

from collections.abc import Iterator, Sequence

from coreml_updatable.text import visible

_GAP = "    "
_WIDEST = 60  # a longer cell does not push the next column further to the right


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """One line a row, its cells one below the other; whatever in a cell could steer the terminal is escaped."""
    cells = [[visible(cell) for cell in row] for row in rows]
    count = max((len(row) for row in cells), default=0)
    widths = [max((len(row[at]) for row in cells if at < len(row)), default=0) for at in range(count)]
    for row in cells:
        padded = (cell.ljust(min(widths[at], _WIDEST)) for at, cell in enumerate(row))
        yield f"  {_GAP.join(padded)}".rstrip()
