"""`coreml-updatable replay VECTORS MODEL`: whether a model still answers, and still learns, as its vectors say."""

from pathlib import Path
from typing import Annotated

import typer

from coreml_updatable.cli.output import say, say_json


def replay(
    vectors: Annotated[
        Path, typer.Argument(help="A NAME.vectors.json file, with its pictures beside it.", show_default=False)
    ],
    model: Annotated[Path, typer.Argument(help="An .mlmodel file.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Test a model against its golden vectors.

    Its predictions before and after each update, and the events and losses of the updates, are compared with the
    expected ones. The exit status is 0 if all are within the tolerances, and 1 otherwise.
    """
    from dataclasses import asdict

    from coreml_updatable.publishing.vectors.document import read_vectors
    from coreml_updatable.publishing.vectors.replay import is_of
    from coreml_updatable.publishing.vectors.replay import replay as replay_vectors
    from coreml_updatable.spec.io import read_model

    given = read_vectors(vectors)
    message = read_model(model)
    stages = replay_vectors(given, vectors.parent, message)
    same = is_of(given, model.read_bytes())
    if json:
        facts = {"model": str(model), "is_the_recorded_file": same, "stages": [asdict(stage) for stage in stages]}
        say_json(facts, indent=2)
    else:
        if not same:
            say(f"note: {model} is not the file that the vectors were made with ({given.model})")
        for stage in stages:
            result = f"largest difference {stage.largest:.2g} ({stage.allowed:g} allowed)"
            device = ", ".join(f"{name}={choice}" for name, choice in stage.outcome.items())
            say(*stage.faults, f"{stage.name}: {stage.rows} predictions, {result}{device and f'; as with {device}'}")
    raise typer.Exit(int(any(stage.faults for stage in stages)))
