"""The page of a comparison over many owners: which model, how sure that is, and for whom it is not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coreml_updatable.data.inputs import UInt8Array
from coreml_updatable.files import write_all_atomically
from coreml_updatable.personalization.results import Comparison, EntrantResult, OfKind, Point, WorstOwner
from coreml_updatable.publishing.chart import SHARES, AxisScale, Box, Curve, boxes, chart, nice_scale, scatter
from coreml_updatable.publishing.report.pictures import data_uri
from coreml_updatable.publishing.templates import template, text_of

STYLES = tuple(f"s{index}" for index in range(10))  # classes of comparison.css
LINES = {
    "learns": "contender",
    "base": "reference: no learning",
    "class_means": "reference: nearest class mean",
    "interpolated": "reference: network and k-NN, half each",
    "retrained": "reference: trained long on base rows and the shots",
}
PROTOCOLS = {"at_once": "one update", "continued": "one update a session", "one_by_one": "one update a shot"}


@dataclass(frozen=True)
class EntrantRow:
    """An entrant at the most shots in one update."""

    number: int
    style: str
    entrant: EntrantResult
    point: Point
    line: str


def rows_of(result: Comparison, styles: Sequence[str] = STYLES) -> list[EntrantRow]:
    """The entrants that were measured at the most shots in one update."""
    return [
        EntrantRow(index + 1, styles[index % len(styles)], entrant, entrant.last(result.shots[-1]), LINES[entrant.line])
        for index, entrant in enumerate(result.entrants)
        if any((point.protocol, point.shots) == ("at_once", result.shots[-1]) for point in entrant.points)
    ]


def shown(result: Comparison) -> Mapping[str, Any]:
    """What every page of a comparison shows, by the names of the template's parts."""
    rows = rows_of(result)
    return {
        "result": result,
        "rows": rows,
        "protocols": PROTOCOLS,
        "curves": curves(result, rows),
        "kinds": _by_kind([row for row in rows if row.entrant.line == "learns"]),
        "costs": [row for row in rows if row.entrant.cost is not None],
    }


def render_comparison(result: Comparison, small: UInt8Array) -> str:
    """The whole page as HTML, which asks nothing of the network. ``small``: pictures of the rows, or none."""
    from markupsafe import Markup

    parts = shown(result)
    rows = parts["rows"]
    page: str = template("report/comparison.html.j2").render(
        **parts,
        style=Markup(text_of("report/report.css") + text_of("report/comparison.css")),
        spreads=_spreads(rows),
        pareto=scatter(
            [(row.entrant.name, _forgetting(row.point), row.point.measures["personal_accuracy"].mean) for row in rows],
            "Personal accuracy against forgetting",
            "forgetting (points of base accuracy)",
            [row.style for row in rows],
        ),
        worst=[(owner, _pictures(owner, small)) for owner in result.worst],
        seconds=sum(result.seconds.values()),
    )
    return page


def _by_kind(rows: Sequence[EntrantRow]) -> list[tuple[OfKind, list[OfKind]]]:
    """Each kind that is tested on, and what each contender makes of it."""
    result: dict[tuple[str, str], list[OfKind]] = {}
    for row in rows:
        for kind in row.entrant.kinds:
            result.setdefault((kind.tested, kind.kind), []).append(kind)
    return [(same[0], same) for _, same in sorted(result.items(), reverse=True) if len(same) == len(rows)]


def _forgetting(point: Point) -> float:
    return point.measures["forgetting"].mean if "forgetting" in point.measures else 0.0


def curves(result: Comparison, rows: Sequence[EntrantRow]) -> list[tuple[str, object]]:
    """Personal accuracy by protocol and base accuracy, means with their intervals, against the shots."""
    learning = [row for row in rows if row.entrant.line == "learns"]
    measured = [row for row in rows if row.entrant.line != "retrained"]  # which is known at the most shots alone
    drawn = [
        ("personal_accuracy", "at_once", "Personal accuracy after one update", measured),
        ("base_accuracy", "at_once", "Base accuracy after one update", measured),
        ("personal_accuracy", "one_by_one", "Personal accuracy, one update a shot", learning),
        ("base_accuracy", "one_by_one", "Base accuracy, one update a shot", learning),
    ]
    output: list[tuple[str, object]] = []
    for measure, protocol, title, chosen in drawn:
        pairs = [(row, _line(row.entrant, measure, protocol)) for row in chosen]
        lines = [(row, line) for row, line in pairs if line is not None]
        if lines:
            drawing = chart(
                [line for _, line in lines],
                title,
                "shots of each of the owner's kinds",
                ticks=result.shots,
                scale=SHARES if measure == "personal_accuracy" else _high([line for _, line in lines]),
                styles=[row.style for row, _ in lines],
            )
            output.append((title, drawing))
    return output


def _high(lines: Sequence[Curve]) -> AxisScale:
    """An axis of shares that begins near the least of them."""
    low = min(ends.low for line in lines for ends in line.y)
    return replace(nice_scale(max(0.0, min(low, 0.95)), 1.0), text=lambda value: f"{100 * value:g}%")


def _line(entrant: EntrantResult, measure: str, protocol: str) -> Curve | None:
    points = [
        point
        for point in entrant.points
        if measure in point.intervals and (point.protocol == protocol or point.shots == 0)
    ]
    if len(points) < 2:
        return None
    ends = tuple(point.intervals[measure] for point in points)
    return Curve(entrant.name, tuple(float(point.shots) for point in points), ends)


def _spreads(rows: Sequence[EntrantRow]) -> list[tuple[str, object]]:
    result: list[tuple[str, object]] = []
    for measure, title in (("personal_accuracy", "Personal accuracy"), ("base_accuracy", "Base accuracy")):
        drawn = [
            Box(row.entrant.name, (output.p5, output.p25, output.p50, output.p75, output.p95))
            for row in rows
            if (output := row.point.measures.get(measure)) is not None
        ]
        if drawn:
            result.append((f"{title} over the owners", boxes(drawn, title, "model", [row.style for row in rows])))
    return result


def _pictures(owner: WorstOwner, small: UInt8Array) -> list[tuple[str, str]]:
    if not len(small):
        return []
    return [(data_uri(small[row]), name) for row, name in zip(owner.rows, owner.names, strict=True)]


def write_comparison(folder: Path, result: Comparison, small: UInt8Array) -> None:
    """Write report.html and report.json into ``folder``; both or none."""
    write_report(folder, result.as_json(), render_comparison(result, small))


def write_report(folder: Path, value: Mapping[str, Any], page: str) -> None:
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    write_all_atomically({folder / "report.json": text.encode(), folder / "report.html": page.encode()})
