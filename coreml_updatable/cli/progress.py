"""What a build does at the moment: bars on a terminal, one line a stage in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from coreml_updatable.cli.output import console, note
from coreml_updatable.data.inputs import Progress as OnProgress
from coreml_updatable.data.inputs import silent
from coreml_updatable.text import visible


@contextmanager
def watched(*, quiet: bool) -> Iterator[OnProgress]:
    """A progress callback for the time of the ``with`` block; it writes to standard error, so output stays clean."""
    log = console(stderr=True)
    if quiet:
        yield silent
    elif log.is_terminal:
        with _bars(log) as on_progress:
            yield on_progress
    else:
        yield _lines()


@contextmanager
def _bars(log: Console) -> Iterator[OnProgress]:
    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column(width=10, no_wrap=True)),
        BarColumn(bar_width=16),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=log, expand=True) as progress:

        def on_progress(stage: str, fraction: float, detail: str) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(visible(stage), total=1.0, detail="")
            progress.update(tasks[stage], completed=fraction, detail=visible(detail))

        yield on_progress


def _lines() -> OnProgress:
    started: dict[str, float] = {}

    def on_progress(stage: str, fraction: float, detail: str) -> None:
        started.setdefault(stage, time.monotonic())
        if fraction >= 1.0:
            note(f"{stage:<12} {time.monotonic() - started[stage]:6.1f} s  {detail}")

    return on_progress
