"""`coreml-updatable inspect FILE`: what Xcode's page of a model shows, in the terminal or as JSON."""

from pathlib import Path
from typing import Annotated

import typer

from coreml_updatable.cli.output import say_json, say_styled


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
        say_json(summary.to_json(), indent=2)
    else:
        from coreml_updatable.cli.inspect_page import Title, page

        for line in page(file.name, summary):
            say_styled((line, "bold" if isinstance(line, Title) else ""))
    raise typer.Exit(0 if summary.sound else 1)
