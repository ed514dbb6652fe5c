"""The table of the samples, from the reports of their builds."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from coreml_updatable.errors import BuildError
from coreml_updatable.personalizing.summary import LEARNT
from coreml_updatable.personalizing.wording import percent
from coreml_updatable.publishing.catalogue.build_report import BuildReport, InputPart, ModelPart, read_report_as
from coreml_updatable.publishing.wording import byte_count
from coreml_updatable.text import markdown, markdown_code, visible

BEGIN, END = "<!-- samples: written by `make models-table` -->", "<!-- /samples -->"
HEAD = "| sample | input | network / k-NN | trainable | base right | taught: right | kept | photos needed | build |"
NOTE = (
    "*Trainable* is the share of the network's weights that an update changes. Pairs are network / k-NN twin, means "
    "over the orders of the photos: *base right* before anything is learnt, *taught* and *kept* after the most photos "
    f"that were tried, *photos needed* until {percent(LEARNT)} of the other pictures are right, in the median order "
    "(of each kind and on average, where there are several). A k-NN with nothing in it is right on none. Build times "
    "are wall seconds, training included, measured on: "
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
    """The fields that a row needs, beside those of a catalogue."""

    sample: str
    input: _Image | _Array
    models: Annotated[tuple[_Model, ...], Field(min_length=2)]
    machine: str
    seconds: dict[str, float]


def read_report(folder: Path) -> TableReport:
    """A build's report.json; a CatalogueError where there is none, or one without a field that a row needs."""
    return read_report_as(TableReport, folder)[0]


def models_table(reports: Sequence[TableReport]) -> str:
    """A row a report, in Markdown, and what the columns mean."""
    machines = dict.fromkeys(report.machine for report in reports)
    rows = [HEAD, "| " + " | ".join(["---"] * (HEAD.count("|") - 1)) + " |", *map(_row, reports)]
    return "\n".join([*rows, "", f"{NOTE}{'; '.join(map(visible, machines))}.", ""])


def with_table(text: str, table: str, where: str) -> str:
    """``text`` with what stands between the two marks replaced by ``table``."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BuildError(f"{where}: holds no table of samples, expected the lines {BEGIN} and {END}; add them")
    return f"{before}{BEGIN}\n{table}{END}{after}"


def _row(report: TableReport) -> str:
    network, knn = report.models[:2]
    cells = [
        markdown_code(report.sample),
        _input(report.input),
        f"{byte_count(network.bytes)} / {byte_count(knn.bytes)}",
        percent(network.trainable / network.weights) if network.weights else "none",
        *_learnt(report),
        f"{sum(report.seconds.values()):.0f} s",
    ]
    return f"| {' | '.join(cells)} |"


def _input(given: _Image | _Array) -> str:
    if isinstance(given, _Image):
        return f"{markdown_code(given.name)}, {given.width} x {given.height} {markdown(given.color)}"
    return f"{markdown_code(given.name)}, {' x '.join(map(str, given.shape))} numbers"


def _learnt(report: TableReport) -> list[str]:
    """Base right, taught and right, kept, photos needed; each of the network and its twin."""
    comparison, slots = report.compared(), report.slots_compared()
    if comparison is not None:
        summaries = [one.summary for one in (comparison.network, comparison.knn)]
        right = [[(at.held_out_accuracy.mean, at.test_accuracy.mean) for at in one.at_once] for one in summaries]
        needed = [one.median_learnt_at_once for one in summaries]
        return _cells(right, needed, comparison.kind, comparison.photos[-1])
    if slots is not None:
        outcomes = (slots.network, slots.knn)
        right = [[(at.right.mean, at.kept.mean) for at in one.points] for one in outcomes]
        return _cells(right, [one.photos_needed() for one in outcomes], ", ".join(slots.kinds), slots.photos[-1])
    return ["–"] * 4


def _cells(
    right: Sequence[Sequence[tuple[float, float]]], needed: Sequence[float | None], what: str, most: int
) -> list[str]:
    """``right``: of each model the shares of others and of the base's own, after rising numbers of photos."""
    return [
        _pair(points[0][1] for points in right),
        f"{_pair(points[-1][0] for points in right)} of {markdown(what)} after {most}",
        _pair(points[-1][1] for points in right),
        " / ".join(f"over {most}" if photos is None else f"{photos:g}" for photos in needed),
    ]


def _pair(shares: Iterable[float]) -> str:
    return " / ".join(percent(share) for share in shares)
