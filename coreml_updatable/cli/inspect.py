"""`coreml-updatable inspect FILE`: what Xcode's page of a model shows, in the terminal or as JSON."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def inspect(
    file: Annotated[Path, typer.Argument(help="An .mlmodel or .mlpackage.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show a model as Xcode does: General, Predictions, Update, Parameters, and its layers.

    Exit status 1 when the file contradicts itself: its faults stand on top. Whether a device takes it, `check` says.
    """
    from coreml_updatable.spec.reading import read_model
    from coreml_updatable.spec.summary import summarize

    summary = summarize(read_model(file))
    if json:
        from json import dumps

        sys.stdout.write(dumps(summary.to_json(), indent=2) + "\n")
    else:
        from coreml_updatable.cli.inspect_page import page

        sys.stdout.write("".join(f"{line}\n" for line in page(file.name, summary)))
    raise typer.Exit(0 if summary.sound else 1)
