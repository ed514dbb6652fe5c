"""`coreml-updatable check FILE...`: what Apple's compiler or a device would hold against a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coreml_updatable.cli.output import complain, say_json, say_styled

if TYPE_CHECKING:
    from coreml_updatable.checking import Problem


def check(
    files: Annotated[list[Path], typer.Argument(help="One or more .mlmodel files.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as problems.")] = False,
) -> None:
    """Check models against Apple's rules and known device problems.

    The exit status is 0 if every file is ready for a device, and 1 if any has a problem.
    """
    from dataclasses import asdict

    from coreml_updatable.checking import check as check_model
    from coreml_updatable.errors import ModelError

    result: dict[str, list[Problem]] = {}
    unread: list[str] = []
    for path in files:
        try:
            result[str(path)] = check_model(path)
        except ModelError as error:  # the other files are judged all the same
            unread.append(str(error))
    if json:
        report = {file: [asdict(problem) for problem in problems] for file, problems in result.items()}
        say_json(report, indent=2)
    else:
        for file, problems in result.items():
            _show(file, problems)
    for sentence in unread:
        complain(sentence)
    broken = [problem for problems in result.values() for problem in problems if problem.severity == "error" or strict]
    raise typer.Exit(1 if broken or unread else 0)


def _show(file: str, problems: list["Problem"]) -> None:
    if not problems:
        say_styled((f"{file}: ", ""), ("no problems", "green"))
    for problem in problems:
        say_styled((f"{file}: ", ""), (str(problem), "red" if problem.severity == "error" else "yellow"))
