"""`coreml-updatable build MODEL`: from a recipe to two personalizable models and a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coreml_updatable.cli.options import Builds, Samples, TrustCode
from coreml_updatable.cli.output import console, note, say, say_json

if TYPE_CHECKING:
    from coreml_updatable.building.request import AnyRequest


MOST_NAMED = 20  # files that were left out, on a terminal


def build(
    model: Annotated[str, typer.Argument(help="A sample's name, or the path of a recipe.toml.", show_default=False)],
    data: Annotated[
        Path | None, typer.Option(help="Your photos, one folder per class, or an extracted Food-101.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Pretrained network: efficientnet_lite0, torchvision:NAME or timm:NAME; none: the recipe's own."
        ),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Weights of the network: .pt, .pth or .safetensors.")] = None,
    out: Builds = Path("build"),
    samples: Samples = Path("sample_models"),
    trust_code: TrustCode = False,
    json: Annotated[bool, typer.Option("--json", help="Print report.json instead of a table.")] = False,
) -> None:
    """Build a network, a k-NN and a report that compares them."""
    from coreml_updatable.building.cache import kept_report
    from coreml_updatable.building.request import prepare
    from coreml_updatable.recipes.find import find_recipe

    request = prepare(find_recipe(model, samples), data, backbone, weights, out, trust_code)
    if kept_report(request.target, request.key) is not None:
        note(f"{request.target} is up to date")
    else:
        _run(request, quiet=json)
    _show(request, json=json)


def _run(request: "AnyRequest", *, quiet: bool) -> None:
    from coreml_updatable.building.build import run
    from coreml_updatable.cli.progress import watched

    with watched(quiet=quiet) as on_progress:
        report = run(request, on_progress)
    left_out = report.data.unreadable if report.data else ()
    note(*(f"skipped: {sentence}" for sentence in left_out[:MOST_NAMED]))
    if len(left_out) > MOST_NAMED:
        note(f"skipped: {len(left_out) - MOST_NAMED} more files, all listed in examples.html")


def _show(request: "AnyRequest", *, json: bool) -> None:
    """The report in short, as the build left it; the same after a run that had nothing to do."""
    from coreml_updatable.building.cache import REPORT, SUMMARY

    if json:
        from json import loads

        say_json(loads((request.target / REPORT).read_text(encoding="utf-8")), indent=2)
        return
    from rich.text import Text

    text = (request.cache / SUMMARY).read_text(encoding="utf-8")
    console().print(Text.from_ansi(text), soft_wrap=True)
    say(f"report: {request.target / 'report.html'}")
