"""Where text leaves the commands: whatever is printed goes through here, and ``text.py`` makes it visible.

A line is given as one string; a line break inside it can only come from outside, and is escaped like all else.
"""

import logging
import os
import sys
import traceback
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from coreml_updatable.text import finite, json_text, sentence

if TYPE_CHECKING:
    from rich.console import Console

PROGRAM = "coreml-updatable"
_ENDLESS = 1_000_000  # columns: a file has no edge to fold at
_STYLES = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}


def say(*lines: str) -> None:
    """Print each of ``lines`` to standard output; what is long in it is shortened."""
    _write(sys.stdout, "".join(f"{sentence(line)}\n" for line in lines))


def note(*lines: str) -> None:
    """Print each of ``lines`` to standard error."""
    _write(sys.stderr, "".join(f"{sentence(line)}\n" for line in lines))


def complain(fault: str) -> None:
    """Print a fault to standard error, the program's name before it."""
    note(f"{PROGRAM}: {fault}")


def say_json(value: Any, *, indent: int | None = None) -> None:
    """Print ``value`` as JSON in ASCII, numbers that are not finite as null, and a line break."""
    _write(sys.stdout, f"{json_text(finite(value), indent=indent, ascii_only=True)}\n")


def say_styled(*parts: tuple[str, str]) -> None:
    """Print one line of (text, style) to standard output; the styles are "", "bold", "red", "green" and "yellow"."""
    if not styled():
        say("".join(text for text, _ in parts))
        return
    shown = ((sentence(text), _STYLES.get(style)) for text, style in parts)
    _write(sys.stdout, "".join(f"\x1b[{code}m{text}\x1b[0m" if code else text for text, code in shown) + "\n")


def styled() -> bool:
    """Return whether standard output is a terminal whose user did not ask for plain text."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def console(*, stderr: bool = False) -> "Console":
    """A rich console for tables and bars; their cells must be visible when they are given."""
    from rich.console import Console

    result = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not result.is_terminal:
        result.width = _ENDLESS
    return result


def guard() -> None:
    """For the life of this process: warnings, log records and tracebacks of the libraries are made visible as well."""
    warnings.showwarning = _show_warning
    logging.setLogRecordFactory(_Record)
    sys.excepthook = _show_traceback


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:  # a terminal of another encoding than UTF-8
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _show_warning(message: Warning | str, category: type[Warning], *place: object, **more: object) -> None:
    """A warning as one line, without the line of code that gave it."""
    del place, more
    ours = category.__module__.startswith("coreml_updatable")
    note(f"{'warning' if ours else category.__name__}: {message}")


class _Record(logging.LogRecord):
    def getMessage(self) -> str:  # noqa: N802 - its name in logging
        return sentence(super().getMessage())


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A fault of ours, or of a library: its traceback, in which no text from outside begins a line."""
    lines = [f"{PROGRAM}: internal error; please report it with the lines below"]
    for frame in traceback.extract_tb(trace):
        lines.append(f"  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line or ''}")
    cause = error.__cause__ or error.__context__
    if cause is not None:
        lines.append(f"  because of {type(cause).__name__}: {cause}")
    note(*lines, f"  {kind.__name__}: {error}")
