"""`inspect` and `diff` with nothing but paths and --json, as they are mostly called: a call that needs no parser.

Typer checks values with pydantic, and its import alone takes longer than the look at a model of ten megabytes. Whatever
else stands on the command line (help, mistakes) goes through the parser as in every other command.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import typer

_PATHS = {"inspect": 1, "diff": 2}  # how many each takes
_JSON = "--json"


def look(arguments: Sequence[str]) -> int | None:
    """Exit status of the command that ``arguments`` call (the program's name left out); None if they need a parser."""
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", ())
    paths = [Path(argument) for argument in rest if argument != _JSON]
    if len(paths) != _PATHS.get(name) or any(argument.startswith("-") for argument in rest if argument != _JSON):
        return None
    command = getattr(import_module(f"coreml_updatable.cli.commands.{name}"), name)
    try:
        command(*paths, json=_JSON in rest)
    except typer.Exit as left:
        return left.exit_code
    return 0
