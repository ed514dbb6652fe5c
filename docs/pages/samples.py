"""The table of samples in README.md, from the reports of their builds; `make models-table` writes it.

python -m docs.pages.samples README.md
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from coreml_updatable.cli.commands.models import every_sample
from coreml_updatable.errors import BuildError
from coreml_updatable.files import write_atomically
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
from coreml_updatable.recipes.recipe import FixedRecipe
from coreml_updatable.text import visible

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


def models_table(reports: Sequence[TableReport], fixed: Sequence[str] = ()) -> str:
    """Return a Markdown table with a row for each report, and a caption that says what the columns mean.

    ``fixed``: samples that are not updatable, which have nothing to put in the columns.
    """
    machines = dict.fromkeys(report.machine for report in reports)
    rows = [HEAD, "| " + " | ".join(["---"] * (HEAD.count("|") - 1)) + " |", *map(_row, reports)]
    notes = [f"{NOTE}{'; '.join(map(visible, machines))}.", ""]
    return "\n".join([*rows, "", *([fixed_line(fixed), ""] if fixed else []), *notes])


def fixed_line(names: Sequence[str]) -> str:
    linked = ", ".join(f"[{markdown_code(name)}](sample_models/{name}/README.md)" for name in names)
    return f"Not updatable, and therefore not in the table (each page says why): {linked}."


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
    kinds = ", ".join(item.kind for item in both[0].of_owner())
    needed = [item.shots_to_enough for item in both]

    def pair(measure: str, shots: int) -> str:
        return " / ".join(percent(item.last(shots).measures[measure].mean) for item in both)

    return [
        pair("base_accuracy", 0),
        f"{pair('personal_accuracy', most)} of {markdown(kinds)} after {most}",
        pair("base_accuracy", most),
        " / ".join(f"over {most}" if shots is None else f"{shots:g}" for shots in needed),
    ]


def markdown(text: str) -> str:
    """``text`` in a cell of a table in Markdown: what would end the cell or begin markup is escaped."""
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", visible(text))


def markdown_code(text: str) -> str:
    """``text`` as code in a cell of a table in Markdown; marks around it that are longer than any inside."""
    if not text:
        return ""
    shown = visible(text).replace("|", "\\|")  # GitHub's tables ask for it in code too
    fence = "`" * (1 + max((len(ticks) for ticks in re.findall("`+", shown)), default=0))
    return f"{fence} {shown} {fence}" if "`" in shown else f"`{shown}`"


def write(page: Path, out: Path, samples: Path) -> int:
    """Write the table of all samples that are built in ``out`` into ``page``; return how many there are."""
    names = [name for name, reason in every_sample(samples) if reason is None and not never_learns(out / name)]
    text = page.read_text(encoding="utf-8")
    recipes = {name: read_any_recipe(samples / name / RECIPE) for name in known_samples(samples)}
    fixed = [name for name, recipe in recipes.items() if isinstance(recipe, FixedRecipe)]
    result = with_table(text, models_table([read_report(out / name) for name in names], fixed), str(page))
    if result != text:
        write_atomically(page, result.encode())
    return len(names)


if __name__ == "__main__":
    written = write(Path(sys.argv[1]), Path("build"), Path("sample_models"))
    sys.stderr.write(f"{sys.argv[1]}: the table has {written} samples\n")
