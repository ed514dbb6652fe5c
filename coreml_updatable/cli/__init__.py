"""The command line ``coreml-updatable``: one file a command, heavy imports inside the commands.

This file is what a shell starts first, so it imports next to nothing: whoever stops a command while its libraries are
still loading reads the same sentence, and gets the same exit status, as later.
"""

import os
import signal
import sys

TYPE_CHECKING = False  # type checkers take it for true; its import from typing would cost more than all the rest here
if TYPE_CHECKING:
    from sys import UnraisableHookArgs
    from types import FrameType

STOPPED = "coreml-updatable: stopped; older results are untouched\n"
STOPS = ("SIGINT", "SIGTERM", "SIGHUP")
_at_work = False  # a command is running, which may have something to clear up
_stopped_by = 0  # the signal that stopped us; 0: none


def main() -> None:
    """Run a command; exit status 0 good, 1 problems found, 2 wrong usage, 128 + N stopped by the signal N.

    Ctrl-C gives 130, SIGTERM 143. A reader that has gone (``| head``) ends a command quietly, with status 1.
    """
    global _at_work
    for name in STOPS:
        number = getattr(signal, name, None)  # Windows knows no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _stop)
    sys.unraisablehook = _not_raised
    for name in ("stdout", "stderr"):  # None where the shell closed it: >&-
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - as long as the process lives
    from coreml_updatable.cli.app import main as run

    _at_work = True
    try:
        run()
    except BrokenPipeError:
        _let_nothing_be_written()
        raise SystemExit(1) from None
    except BaseException as left:
        interrupt = isinstance(left, KeyboardInterrupt) or getattr(left, "code", None) == 128 + signal.SIGINT  # typer's
        if not _stopped_by and not interrupt:
            raise
        _leave()
    finally:
        _at_work = False
    if _stopped_by:  # a library swallowed the interrupt
        _leave()


def _stop(index: int, frame: "FrameType | None") -> None:
    """The handler of the signals ``STOPS``: an interrupt where something is to be cleared up, else the end at once."""
    del frame
    global _stopped_by
    again, _stopped_by = bool(_stopped_by), index
    if _at_work and not again:
        raise KeyboardInterrupt
    os.write(sys.stderr.fileno(), STOPPED.encode())
    os._exit(128 + index)


def _not_raised(what: "UnraisableHookArgs") -> None:
    """Where an interrupt falls into a finalizer, Python drops it with a traceback; it comes again a little later."""
    if not _stopped_by or not issubclass(what.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(what)
    elif _at_work:
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.001)


def _interrupt(number: int, frame: "FrameType | None") -> None:
    del number, frame
    raise KeyboardInterrupt


def _leave() -> None:
    sys.stderr.write(STOPPED)
    raise SystemExit(128 + (_stopped_by or signal.SIGINT)) from None


def _let_nothing_be_written() -> None:
    """Python would complain of the pipe once more when it leaves."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
