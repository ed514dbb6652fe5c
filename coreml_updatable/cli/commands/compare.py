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
    models: Annotated[list[Path], typer.Argument(help="Updatable .mlmodel or .mlpackage files.", show_default=False)],
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

    Each owner gives some shots and is tested on other rows of his own, and on a base test set. The report says which
    model suits them, how sure that is, and for whom it does not. docs/personalization.md explains scenarios.
    """
    from coreml_updatable.errors import located
    from coreml_updatable.personalization.compare import compare as run
    from coreml_updatable.personalization.compare import shots_in
    from coreml_updatable.personalization.population import Population, read_population
    from coreml_updatable.personalization.preparing import Settings
    from coreml_updatable.publishing.report.comparison import write_comparison
    from coreml_updatable.runtime import load

    if resume and out is None:
        raise typer.BadParameter("--resume goes on with what is in a folder; name it with -o")
    settings = Settings(
        owners=owners, shots=shots_in(shots), replay=replay, replay_by=replay_by, workers=workers, fit=fit
    )
    population = read_population(scenario) if scenario is not None else Population()
    under = chosen(assume or [])
    loaded = []
    for path in models:
        with located("model", path):
            loaded.append((path.stem, load(path, assumptions=under.assumptions)))
    with watched(quiet=json) as told:
        kept = out / "owners" if out is not None else None
        result, prepared = run(loaded, data, population, settings, told, kept, resume, dask)
    if out is not None:
        write_comparison(out, result, prepared.small)
    if json:
        say_json(result.as_json(), indent=1)
    else:
        say(*result.conclusions, *(f"note: {note}" for note in result.notes))
        if out is not None:
            say(f"report: {out / 'report.html'}")
