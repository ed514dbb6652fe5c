"""What a build does at the moment: bars on a terminal, one line a stage in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from coreml_updatable.conversion import Progress as OnProgress
from coreml_updatable.conversion import silent


@contextmanager
def watched(*, quiet: bool) -> Iterator[OnProgress]:
    """A progress callback for the time of the ``with`` block; it writes to standard error, so output stays clean."""
    console = Console(stderr=True)
    if quiet:
        yield silent
    elif console.is_terminal:
        with _bars(console) as on_progress:
            yield on_progress
    else:
        yield _lines(console)


@contextmanager
def _bars(console: Console) -> Iterator[OnProgress]:
    columns = (
        TextColumn("{task.description}", table_column=Column(width=10, no_wrap=True)),
        BarColumn(bar_width=16),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, expand=True) as progress:

        def on_progress(stage: str, fraction: float, detail: str) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=1.0, detail="")
            progress.update(tasks[stage], completed=fraction, detail=detail)

        yield on_progress


def _lines(console: Console) -> OnProgress:
    started: dict[str, float] = {}

    def on_progress(stage: str, fraction: float, detail: str) -> None:
        started.setdefault(stage, time.monotonic())
        if fraction >= 1.0:
            console.print(
                f"{stage:<12} {time.monotonic() - started[stage]:6.1f} s  {detail}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )

    return on_progress
