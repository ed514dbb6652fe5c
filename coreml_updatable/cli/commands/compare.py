"""`coreml-updatable compare A.mlmodel B.mlmodel --data FOLDER`: which model suits a whole population of owners."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from coreml_updatable.cli.assumptions import Assume, chosen
from coreml_updatable.cli.options import PictureFit, RowsByKind, Scenario
from coreml_updatable.cli.output import say, say_json
from coreml_updatable.cli.progress import watched

Choice = Literal["herding", "k-center"]


def compare(
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Updatable .mlmodel or .mlpackage files; the two files of a split layout are one contender.",
            show_default=False,
        ),
    ],
    data: RowsByKind,
    owners: Annotated[int, typer.Option(help="Number of simulated owners.")] = 1000,
    shots: Annotated[
        str, typer.Option(help="Increasing numbers of shots per kind, separated by commas.")
    ] = "0,1,2,3,5,10,20",
    scenario: Scenario = None,
    replay: Annotated[
        int, typer.Option(min=0, help="Also compare each model with this many base rows per label mixed in.")
    ] = 0,
    replay_by: Annotated[Choice, typer.Option(help="How to choose replay sets.")] = "herding",
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PATH", help="Folder for report.html and report.json.", show_default=False
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes.", show_default="all usable processors")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run with the same -o.")] = False,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A Dask scheduler whose workers simulate the owners.", show_default=False),
    ] = None,
    assume: Assume = None,
    fit: PictureFit = None,
    json: Annotated[bool, typer.Option("--json", help="Print report.json.")] = False,
) -> None:
    """Compare models on a population of simulated owners.

    Each owner gives some shots, and the updated model is tested on other rows of that owner and on a base test set. The
    report says which model suits the owners best, how certain that is, and which owners it does not suit.
    docs/personalization.md explains scenarios.
    """
    from coreml_updatable.api import compare as run
    from coreml_updatable.personalization.compare import shots_in

    with watched(quiet=json) as progress:
        result = run(
            models,
            data,
            owners=owners,
            shots=shots_in(shots),
            scenario=scenario,
            replay=replay,
            replay_by=replay_by,
            out=out,
            workers=workers,
            resume=resume,
            dask=dask,
            fit=fit,
            assumptions=chosen(assume or []).assumptions,
            on_progress=progress,
        )
    if json:
        say_json(result.as_json(), indent=1)
    else:
        say(*result.conclusions, *(f"note: {note}" for note in result.notes))
        if out is not None:
            say(f"report: {out / 'report.html'}")
