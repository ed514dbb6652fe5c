"""`coreml-updatable siblings MODEL -o DIR --to onnxruntime,executorch`: the same network for other engines to train."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coreml_updatable.cli.options import AsJson, Out, option
from coreml_updatable.cli.output import say, say_json
from coreml_updatable.errors import DataError

if TYPE_CHECKING:
    from coreml_updatable.spec.messages import Model

MOST_ROWS = 24


def siblings(
    model: Annotated[Path, typer.Argument(help="An updatable network (.mlmodel or .mlpackage).", show_default=False)],
    out: Annotated[Out, option("A folder; each engine gets one inside.")],
    to: Annotated[
        str, typer.Option(help="Engines, separated by commas: onnxruntime, executorch.", metavar="ENGINES")
    ] = "onnxruntime,executorch",
    samples: Annotated[
        Path | None,
        typer.Option(
            help="Rows to test the siblings on: one folder per class, .json or .csv.", show_default="10 random rows"
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Export the network for other engines to train.

    Before anything is written, each engine trains its files, and the result is compared with an update of the model:
    weights must agree within 1e-5 of the largest change (1e-4 with Adam; ten times as much on random rows), and
    probabilities within 1e-4. docs/siblings.md says when to use which engine, and how apps load the files.
    """
    from dataclasses import asdict

    from coreml_updatable.errors import located
    from coreml_updatable.runtime import load
    from coreml_updatable.siblings.engines import ENGINE_NAMES
    from coreml_updatable.siblings.making import make_siblings

    engines = [name.strip() for name in to.split(",") if name.strip()]
    unknown = [name for name in engines if name not in ENGINE_NAMES]
    if unknown or not engines:
        raise typer.BadParameter(f"--to {to}: expected one or more of {', '.join(ENGINE_NAMES)}, separated by commas")
    with located("model", model):
        loaded = load(model)
        rows = None if samples is None else _rows(samples, loaded.message)
        result = make_siblings(loaded, out.path, engines, rows)
    if json:
        say_json([{**asdict(entry), "folder": str(entry.folder)} for entry in result], indent=1)
        return
    for item in result:
        size = sum(item.files.values())
        say(
            f"{item.folder}: {len(item.files)} files, {size / 1e6:.2f} MB; trained beside the update for "
            f"{item.agreement.steps} steps: weights within {item.agreement.weights:.1e} of the largest change, answers "
            f"within {item.agreement.answers:.1e}"
        )


def _rows(samples: Path, model: "Model") -> list[dict[str, Any]]:
    """As many of the labeled rows as prove enough, from all over the folder."""
    from coreml_updatable.data.rows.features import features_of
    from coreml_updatable.data.rows.reading import training_rows

    rows = [row for _, row in training_rows(samples, model, features_of(model))]
    if not rows:
        raise DataError(f"{samples}: holds no rows; name a folder with one folder per class")
    return rows[:: max(1, len(rows) // MOST_ROWS)][:MOST_ROWS]
