"""The commands put together, and every error a user can cause turned into one sentence and an exit status."""

import errno
import signal
import sys

import typer

from coreml_updatable.cli.build import build
from coreml_updatable.cli.check import check
from coreml_updatable.cli.convert import convert
from coreml_updatable.cli.converters import converters
from coreml_updatable.cli.diff import diff
from coreml_updatable.cli.inspect import inspect
from coreml_updatable.cli.keygen import keygen
from coreml_updatable.cli.knn import knn
from coreml_updatable.cli.mark import mark
from coreml_updatable.cli.predict import predict
from coreml_updatable.cli.probes import probes
from coreml_updatable.cli.publish import publish
from coreml_updatable.cli.update import update
from coreml_updatable.errors import UserError

STOPPED = 128 + signal.SIGINT  # as shells have it

app = typer.Typer(
    name="coreml-updatable",
    help="Core ML models that an iPhone can go on training, proved on any machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (build, convert, converters, mark, knn, inspect, check, diff, predict, update, probes, publish, keygen):
    app.command()(command)


def main() -> None:
    """Run a command; exit status 0 good, 1 problems found, 2 wrong usage, 130 stopped by Ctrl-C."""
    try:
        app()
    except UserError as error:
        _leave(str(error), error.exit_status)
    except OSError as error:
        _leave(sentence_of(error), 1)
    except MemoryError as error:
        _leave(f"not enough memory ({error or 'none left'}); take fewer or smaller pictures", 1)
    except (KeyboardInterrupt, SystemExit) as left:  # typer makes a SystemExit of an interrupt
        if isinstance(left, SystemExit) and left.code != STOPPED:
            raise
        _leave("stopped; older results are untouched", STOPPED)


def sentence_of(error: OSError) -> str:
    """What the operating system refused; a full disk is worth its own advice."""
    place = error.filename or "writing"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{place}: no room left ({error.strerror}); make room and run again, older results are untouched"
    return f"{place}: {error.strerror or error}; check the path and its permissions"


def _leave(sentence: str, status: int) -> None:
    sys.stderr.write(f"coreml-updatable: {sentence}\n")
    raise SystemExit(status)
