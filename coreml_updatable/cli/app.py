"""The commands put together, and every error a user can cause turned into one sentence and an exit status."""

import errno
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from coreml_updatable.cli.command import Command, Group
from coreml_updatable.cli.limits import with_limits
from coreml_updatable.cli.output import complain, guard, say
from coreml_updatable.errors import UserError
from coreml_updatable.threads import set_threads

# To add a command, add its name: the module and the function in it bear it too. --help shows them in this order.
COMMANDS = (
    "new",
    "build",
    "models",
    "convert",
    "converters",
    "extras",
    "mark",
    "knn",
    "layout",
    "inspect",
    "check",
    "diff",
    "predict",
    "update",
    "rebase",
    "compare",
    "tune",
    "siblings",
    "probes",
    "publish",
    "keygen",
    "replay",
    "serve",
)

COMPUTING = frozenset(COMMANDS) - {
    "new", "converters", "extras", "inspect", "check", "diff", "rebase", "publish", "keygen", "serve",
}  # fmt: skip


def app(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """The command line with the commands ``names``; only their modules are imported."""
    result = typer.Typer(
        name="coreml-updatable",
        cls=Group,
        help="Build Core ML models that keep learning on an iPhone, and verify them on any machine.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help: boxes would cost more time than all the rest
        context_settings={"max_content_width": 160},  # an option and its help on one line of a wide terminal
    )
    result.callback()(_group)
    for name in names:
        command = getattr(import_module(f"coreml_updatable.cli.commands.{name}"), name)
        result.command(name, cls=Command)(with_limits(command) if name in COMPUTING else command)
    return result


def overview() -> typer.Typer:
    """The command line without its commands' modules, for help and mistakes: it knows their names and first lines."""
    result = app(())
    for name in COMMANDS:
        result.command(name, cls=Command)(_standing_in(name))
    return result


def _standing_in(name: str) -> Callable[[], None]:
    """A function with the first line of the docstring of ``name``, read off its text: its imports take a second."""
    text = Path(__file__).with_name("commands").joinpath(f"{name}.py").read_text(encoding="utf-8")
    _, _, definition = text.partition(f"\ndef {name}(")

    def command() -> None:
        pass

    command.__doc__ = definition.partition('"""')[2].partition("\n")[0].removesuffix('"""')
    return command


def _version(wanted: bool) -> None:
    """Print the version and leave, where ``wanted``."""
    if wanted:
        import coreml_updatable

        say(f"coreml-updatable {coreml_updatable.__version__}")
        raise typer.Exit


def _group(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Makes a group of the commands, even where only one of them is loaded."""
    del version


def main() -> None:
    """Run a command; exit status 0 good, 1 problems found, 2 wrong usage. Signals are ``cli.main``'s."""
    guard()
    set_threads()
    named = [argument for argument in sys.argv[1:] if argument in COMMANDS]
    try:
        try:
            status = look(sys.argv[1:])
            if status is not None:
                raise SystemExit(status)
            (app(named[:1] if sys.argv[1:2] == named[:1] else COMMANDS) if named else overview())()
        finally:
            sys.stdout.flush()  # here, where a full disk and a reader that has gone are still told apart
    except UserError as error:
        _leave(str(error), error.exit_status)
    except BrokenPipeError:  # no fault of a file
        raise
    except OSError as error:
        _leave(sentence_of(error), 1)
    except MemoryError as error:
        _leave(f"not enough memory ({error or 'none left'}); use fewer or smaller pictures", 1)


def sentence_of(error: OSError) -> str:
    """Describe an error of the operating system in one sentence; a full disk gets its own advice."""
    place = error.filename or "writing"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{place}: no space left ({error.strerror}); free some space and run again; older results are untouched"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"{place}: is a file, expected a folder; check the path"
    return f"{place}: {error.strerror or error}; check the path and its permissions"


def _leave(sentence: str, status: int) -> None:
    complain(sentence)
    raise SystemExit(status)


_PATHS = {"inspect": (1, 1), "diff": (2, 2), "predict": (2, sys.maxsize)}  # how many each takes
_JSON = "--json"


def look(arguments: Sequence[str]) -> int | None:
    """Run `inspect`, `diff` or `predict` with nothing but paths and --json, as mostly called, without a parser.

    Typer checks values with pydantic, and its import alone takes longer than the look at a model of ten megabytes, and
    a tenth of what importing torch does.
    Returns the exit status of the command that ``arguments`` call (the program's name left out); None if they need a
    parser.
    """
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", ())
    paths = [Path(argument) for argument in rest if argument != _JSON]
    fewest, most = _PATHS.get(name, (1, 0))
    if not fewest <= len(paths) <= most or any(argument.startswith("-") for argument in rest if argument != _JSON):
        return None
    command = getattr(import_module(f"coreml_updatable.cli.commands.{name}"), name)
    try:
        if name == "predict":
            command(paths[0], paths[1:], json=_JSON in rest)
        else:
            command(*paths, json=_JSON in rest)
    except typer.Exit as left:
        return left.exit_code
    return 0
