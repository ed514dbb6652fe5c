"""What an update does at the moment: a live line on a terminal, one line an epoch in a log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.status import Status

from coreml_updatable.cli.output import console, note

if TYPE_CHECKING:
    from coreml_updatable.updating.task import UpdateContext

Handler = Callable[["UpdateContext"], None]


@contextmanager
def told(*, quiet: bool) -> Iterator[Handler]:
    """A handler of the task's events, for the time of the ``with`` block; it writes to standard error."""
    log = console(stderr=True)
    if quiet:
        yield _silent
    elif log.is_terminal:
        with log.status("reading rows") as status:
            yield _live(status)
    else:
        yield _line


def _silent(_context: "UpdateContext") -> None:
    pass


def _live(status: Status) -> Handler:
    def on_event(context: "UpdateContext") -> None:
        if "lossValue" in context.metrics:
            batch = int(context.metrics.get("miniBatchIndex", -1)) + 1
            part = f"  batch {batch}" if batch else ""
            status.update(f"{_epoch(context)}{part}  loss {context.metrics['lossValue']:.6g}")

    return on_event


def _line(context: "UpdateContext") -> None:
    if context.event == "epochEnd":
        note(f"{_epoch(context)}  loss {context.metrics['lossValue']:.6g}")


def _epoch(context: "UpdateContext") -> str:
    return f"epoch {int(context.metrics['epochIndex']) + 1}/{context.parameters['epochs']}"
