"""Progress of long work: bars on a terminal; in a log, a line per stage and, in a long stage, one every few seconds."""

import threading
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

EVERY = 10.0  # seconds after which a log gets another line


@contextmanager
def watched(*, quiet: bool) -> Iterator[OnProgress]:
    """Yield a progress callback for the ``with`` block; it writes to standard error, so that the output stays clean."""
    log = console(stderr=True)
    if quiet:
        yield silent
    elif log.is_terminal:
        with _bars(log) as on_progress:
            yield on_progress
    else:
        with _lines(EVERY) as on_progress:
            yield on_progress


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


@contextmanager
def _lines(every: float) -> Iterator[OnProgress]:
    """Print a line at the end of a stage, and one whenever ``every`` seconds have passed without any.

    A thread prints the latter, because a stage may compute for minutes between two calls.
    """
    started: dict[str, float] = {}
    running: dict[str, str] = {}
    spoken, ended = threading.Event(), threading.Event()

    def say(stage: str, detail: str) -> None:
        note(f"{stage:<12} {time.monotonic() - started[stage]:6.1f} s  {detail}")
        spoken.set()

    def on_progress(stage: str, fraction: float, detail: str) -> None:
        started.setdefault(stage, time.monotonic())
        if fraction >= 1.0:
            running.pop(stage, None)
            say(stage, detail)
        else:
            running[stage] = f"{fraction:4.0%}  {detail}".rstrip()

    def repeat() -> None:
        while not ended.is_set():
            if not spoken.wait(every) and not ended.is_set():
                for stage, detail in list(running.items())[-1:]:
                    say(stage, detail)
            spoken.clear()

    thread = threading.Thread(target=repeat, name="progress", daemon=True)
    thread.start()
    try:
        yield on_progress
    finally:
        ended.set()
        spoken.set()
        thread.join()
