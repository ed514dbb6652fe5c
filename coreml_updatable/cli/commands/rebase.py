"""`coreml-updatable rebase BASE LESSONS -o NEW`: train a new base on an owner's lessons."""

from pathlib import Path
from typing import Annotated

import typer

from coreml_updatable.cli.assumptions import Assume, chosen
from coreml_updatable.cli.options import Out, option
from coreml_updatable.cli.output import say, say_json


def rebase(
    base: Annotated[Path, typer.Argument(help="An updatable .mlmodel or .mlpackage.", show_default=False)],
    lessons: Annotated[Path, typer.Argument(help="An archive that an app backed up.", show_default=False)],
    out: Annotated[Out, option("The personal model.")],
    replay: Annotated[
        Path | None,
        typer.Option(help="Base examples to mix in: a NAME.replay.json, or like DATA of `update`.", show_default=False),
    ] = None,
    assume: Assume = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a base model on the lessons that an app backed up.

    An app does the same on the device when a new version of the model arrives. docs/lessons.md describes the archive.
    """
    from collections import Counter

    from coreml_updatable.cli.commands.update import mixed_rows
    from coreml_updatable.errors import located
    from coreml_updatable.personalization.lessons import read_lessons
    from coreml_updatable.personalization.lessons import rebase as train
    from coreml_updatable.runtime import load

    target = out.file()
    under = chosen(assume or [])
    read = read_lessons(lessons)
    with located("model", base):
        model = load(base, assumptions=under.assumptions)
        mixed = [] if replay is None else [row for _, row in mixed_rows(replay, model.message)]
        context = train(model, read, assumptions=under.assumptions, replay=mixed)
    context.write(target)
    labels = Counter(lesson.label for lesson in read.lessons)
    if json:
        say_json({"model": str(target), "lessons": dict(labels), "parameters": dict(context.parameters)}, indent=1)
    else:
        counts = ", ".join(f"{count} {label}" for label, count in sorted(labels.items()))
        say(f"{target}: trained on {len(read.lessons)} lessons of {read.model} ({counts})")
