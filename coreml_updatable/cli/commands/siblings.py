"""`coreml-updatable siblings MODEL -o DIR --to onnxruntime,executorch`: the same network for other engines to train."""

from pathlib import Path
from typing import Annotated

import typer

from coreml_updatable.cli.options import AsJson, Out, option
from coreml_updatable.cli.output import say, say_json


def siblings(
    model: Annotated[Path, typer.Argument(help="An updatable network (.mlmodel or .mlpackage).", show_default=False)],
    out: Annotated[Out, option("A folder; each engine gets one inside.")],
    to: Annotated[
        str, typer.Option(help="Engines, separated by commas: onnxruntime, executorch.", metavar="ENGINES")
    ] = "onnxruntime,executorch",
    json: AsJson = False,
) -> None:
    """Make the files with which other engines train the same network, on Android for instance.

    Each is trained by its engine beside the model's own update first, and written only if weights and answers agree.
    docs/siblings.md says which engine suits what, and how apps load the files.
    """
    from dataclasses import asdict

    from coreml_updatable.errors import located
    from coreml_updatable.siblings.engines import ENGINE_NAMES
    from coreml_updatable.siblings.making import make_siblings

    engines = [name.strip() for name in to.split(",") if name.strip()]
    unknown = [name for name in engines if name not in ENGINE_NAMES]
    if unknown or not engines:
        raise typer.BadParameter(f"--to {to}: expected one or more of {', '.join(ENGINE_NAMES)}, separated by commas")
    with located("model", model):
        made = make_siblings(model, out.path, engines)
    if json:
        say_json([{**asdict(one), "folder": str(one.folder)} for one in made], indent=1)
        return
    for one in made:
        size = sum(one.files.values())
        say(
            f"{one.folder}: {len(one.files)} files, {size / 1e6:.2f} MB; trained beside the update for "
            f"{one.agreement.steps} steps: weights within {one.agreement.weights:.1e} of the largest change, answers "
            f"within {one.agreement.answers:.1e}"
        )
