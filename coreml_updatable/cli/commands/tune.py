"""`coreml-updatable tune MODEL --data FOLDER`: the update parameters that serve a population of owners best."""

from pathlib import Path
from typing import Annotated, Any

import typer

from coreml_updatable.cli.options import Out, PictureFit, RowsByKind, Scenario, option
from coreml_updatable.cli.output import say, say_json
from coreml_updatable.cli.progress import watched


def tune(
    model: Annotated[Path, typer.Argument(help="An updatable .mlmodel or .mlpackage.", show_default=False)],
    data: RowsByKind,
    forgetting: Annotated[
        float, typer.Option(min=0, max=100, help="Most points of base accuracy that 95% of the owners may lose.")
    ] = 2.0,
    budget: Annotated[int, typer.Option(min=1, help="Number of settings to try.")] = 200,
    shots: Annotated[int, typer.Option(min=1, help="Number of shots per kind, in one update.")] = 10,
    owners: Annotated[int, typer.Option(min=1, help="Number of owners to try each setting on.")] = 128,
    test_owners: Annotated[
        int, typer.Option(min=1, help="Number of other owners to evaluate the chosen setting on.")
    ] = 500,
    scenario: Scenario = None,
    replay: Annotated[bool, typer.Option("--replay", help="Also try replay sets of 2 to 16 rows per label.")] = False,
    out: Annotated[Out | None, option("The model with the chosen values and ranges.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A recipe.toml to write the chosen values into.", show_default=False)
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Folder for report.html and report.json.", show_default=False)
    ] = None,
    fit: PictureFit = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Choose a model's update parameters for a population of owners.

    The best setting is the one with the highest median personal accuracy, provided that 95% of the owners forget less
    than the bound. It is evaluated on other owners, who share no picture with those used to choose it.
    """
    from coreml_updatable.api import tune as run
    from coreml_updatable.publishing.report.tune import beside, listed, sharpness, write_tune
    from coreml_updatable.recipes.tuned import expect_recipe, write_tuned
    from coreml_updatable.spec.io import write_model

    target = out.file() if out is not None else None
    if recipe is not None:
        expect_recipe(recipe)
    with watched(quiet=json) as progress:
        tuned = run(
            model,
            data,
            forgetting=forgetting,
            budget=budget,
            shots=shots,
            owners=owners,
            test_owners=test_owners,
            scenario=scenario,
            replay=replay,
            fit=fit,
            on_progress=lambda fraction, detail: progress("tuning", fraction, detail),
        )
    result = tuned.result
    if target is not None:
        write_model(tuned.model.message, target)
    if recipe is not None:
        write_tuned(recipe, result.chosen)
    if report is not None:
        write_tune(report, result)
    if json:
        say_json(result.as_json(), indent=1)
        return
    say(result.conclusion, f"chosen: {listed(result.chosen)}", f"before: {listed(result.defaults)}")
    for trial in result.around:
        say(f"  {beside(trial.values, result.chosen)}: {_figures(trial)}")
    say(sharpness(result))
    for written in (target, recipe):
        if written is not None:
            say(f"written: {written}")
    if report is not None:
        say(f"report: {report / 'report.html'}")


def _figures(trial: Any) -> str:
    return f"median {100 * trial.personal:.1f}%, 95% forget less than {100 * max(0.0, trial.forgetting):.1f} points"
