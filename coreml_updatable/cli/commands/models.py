"""`coreml-updatable models`: every sample that needs no download, one after the other."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field

from coreml_updatable.building.recipe_extras import lacking_weights
from coreml_updatable.cli.options import Builds, Samples
from coreml_updatable.cli.output import note
from coreml_updatable.converting.registry import find_converter, needs_of, told_lacking
from coreml_updatable.errors import BuildError, UserError
from coreml_updatable.installing import bare_command
from coreml_updatable.personalization.results import ENOUGH
from coreml_updatable.personalization.wording import percent
from coreml_updatable.publishing.catalogue.build_report import (
    BuildReport,
    InputPart,
    ModelPart,
    never_learns,
    read_report_as,
)
from coreml_updatable.publishing.wording import byte_count
from coreml_updatable.recipes.file import read_any_recipe
from coreml_updatable.recipes.find import RECIPE, known_samples
from coreml_updatable.recipes.recipe import AnyRecipe, FixedRecipe
from coreml_updatable.text import markdown, markdown_code, visible


def every_sample(samples: Path) -> Iterator[tuple[str, str | None]]:
    """The name of each sample, and why it is left out, or None for one that can be built without a download."""
    for name in known_samples(samples):
        yield name, left_out(read_any_recipe(samples / name / RECIPE))


def left_out(recipe: AnyRecipe) -> str | None:
    if isinstance(recipe, FixedRecipe):
        return told_lacking(recipe.extras)
    if recipe.data.draw is None and recipe.data.load is None:
        return "it has no data; build it with DATA=folder"
    source = recipe.source.options()
    if source.get("weights") == "pretrained" and source.get("factory") is None:
        return "its weights must be downloaded; build it by name"
    if lacking := lacking_weights(recipe):
        return f"{', '.join(lacking)} is not installed; run: {bare_command(lacking)}"
    needs = needs_of(find_converter(recipe.source.converter))
    if needs.missing:
        return f"{', '.join(needs.missing)} is not installed; run: {needs.command}"
    return told_lacking(recipe.extras)


BEGIN, END = "<!-- samples: written by `make models-table` -->", "<!-- /samples -->"
HEAD = (
    "| sample | input | network / k-NN | trainable | base accuracy | personal accuracy | base accuracy after | "
    "shots needed | build |"
)
NOTE = (
    "Pairs are network / k-NN; figures are means over the random orders of the shots. *Trainable* is the share of "
    "the network's weights that an update changes. *Base accuracy* is measured on the base test set before any "
    "update. *Personal accuracy* (on the owner's held-out examples) and *base accuracy after* (on the base test set) "
    "are measured after the largest number of shots that was tried; forgetting is the difference of the two base "
    f"accuracies. *Shots needed* is the number of shots for a personal accuracy of {percent(ENOUGH)}, in the median "
    "order (of each kind, where there are several). An empty k-NN has an accuracy of 0%. Build times are wall-clock "
    "seconds, including training, measured on: "
)


class _Image(InputPart):
    width: int
    height: int
    color: str


class _Array(InputPart):
    shape: tuple[int, ...]


class _Model(ModelPart):
    bytes: int
    weights: int
    trainable: int


class TableReport(BuildReport):
    """The fields that a row needs in addition to those of a catalogue."""

    sample: str
    input: _Image | _Array
    models: Annotated[tuple[_Model, ...], Field(min_length=2)]
    machine: str
    seconds: dict[str, float]


def read_report(folder: Path) -> TableReport:
    """A build's report.json; a CatalogueError where there is none, or one without a field that a row needs."""
    return read_report_as(TableReport, folder)[0]


def models_table(reports: Sequence[TableReport]) -> str:
    """Return a Markdown table with a row for each report, and a caption that says what the columns mean."""
    machines = dict.fromkeys(report.machine for report in reports)
    rows = [HEAD, "| " + " | ".join(["---"] * (HEAD.count("|") - 1)) + " |", *map(_row, reports)]
    return "\n".join([*rows, "", f"{NOTE}{'; '.join(map(visible, machines))}.", ""])


def with_table(text: str, table: str, where: str) -> str:
    """Return ``text`` with ``table`` between the two marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BuildError(f"{where}: contains no table of samples, expected the lines {BEGIN} and {END}; add them")
    return f"{before}{BEGIN}\n{table}{END}{after}"


def _row(report: TableReport) -> str:
    network, knn = report.models[:2]
    cells = [
        markdown_code(report.sample),
        _input(report.input),
        f"{byte_count(network.bytes)} / {byte_count(knn.bytes)}",
        percent(network.trainable / network.weights) if network.weights else "none",
        *_personal(report),
        f"{sum(report.seconds.values()):.0f} s",
    ]
    return f"| {' | '.join(cells)} |"


def _input(given: _Image | _Array) -> str:
    if isinstance(given, _Image):
        return f"{markdown_code(given.name)}, {given.width} x {given.height} {markdown(given.color)}"
    return f"{markdown_code(given.name)}, {' x '.join(map(str, given.shape))} numbers"


def _personal(report: TableReport) -> list[str]:
    """Base accuracy, personal accuracy, base accuracy after, shots needed; each of the network and the k-NN."""
    comparison = report.compared()
    if comparison is None:
        return ["–"] * 4
    most, both = comparison.shots[-1], comparison.entrants
    kinds = ", ".join(one.kind for one in both[0].of_owner())
    needed = [one.shots_to_enough for one in both]

    def pair(measure: str, shots: int) -> str:
        return " / ".join(percent(one.last(shots).measures[measure].mean) for one in both)

    return [
        pair("base_accuracy", 0),
        f"{pair('personal_accuracy', most)} of {markdown(kinds)} after {most}",
        pair("base_accuracy", most),
        " / ".join(f"over {most}" if shots is None else f"{shots:g}" for shots in needed),
    ]


def models(
    out: Builds = Path("build"),
    samples: Samples = Path("sample_models"),
    table: Annotated[Path | None, typer.Option(help="Markdown file with the table of samples to update.")] = None,
) -> None:
    """Build all samples without downloads; stop at the first failure."""

    from coreml_updatable.cli.commands.build import build

    found = list(every_sample(samples))
    if not found:
        raise BuildError(f"{samples}: contains no sample models, expected folders with a recipe.toml; check the path")
    names = [name for name, reason in found if reason is None]
    for number, (name, reason) in enumerate(found, start=1):
        if reason is not None:
            note(f"[{number}/{len(found)}] {name}: skipped, {reason}")
            continue
        note(f"[{number}/{len(found)}] {name}")
        try:
            build(name, out=out, samples=samples)
        except UserError as error:
            later = names[names.index(name) + 1 :]
            rest = f"; not built: {', '.join(later)}" if later else ""
            raise BuildError(f"{name}: {str(error).removeprefix(f'{name}: ')}{rest}") from error
    if table is not None:
        _write(table, [name for name in names if not never_learns(out / name)], out)


def _write(table: Path, names: list[str], out: Path) -> None:
    from coreml_updatable.files import write_atomically

    text = table.read_text(encoding="utf-8")
    made = with_table(text, models_table([read_report(out / name) for name in names]), str(table))
    if made != text:
        write_atomically(table, made.encode())
    note(f"{table}: the table of {len(names)} samples is {'as it was' if made == text else 'new'}")
