"""The table of the samples, from the reports of their builds."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coreml_updatable.errors import BuildError
from coreml_updatable.personalizing.summary import LEARNT
from coreml_updatable.personalizing.wording import percent
from coreml_updatable.publishing.catalogue.build_report import MAXIMUM_BYTES, REPORT
from coreml_updatable.publishing.wording import byte_count

BEGIN, END = "<!-- samples: written by `make models-table` -->", "<!-- /samples -->"
HEAD = "| sample | input | network / k-NN | trainable | base right | taught: right | kept | photos needed | build |"
NOTE = (
    "*Trainable* is the share of the network's weights that an update changes. Pairs are network / k-NN twin, means "
    "over the orders of the photos: *base right* before anything is learnt, *taught* and *kept* after the most photos "
    "that were tried, *photos needed* until 90% of the other pictures are right (of each kind, where there are "
    "several). A k-NN with nothing in it is right on none. Build times are wall seconds, training included, "
    "measured on: "
)


def read_report(folder: Path) -> Mapping[str, Any]:
    """A build's report.json; a BuildError where there is none."""
    path = folder / REPORT
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise BuildError(f"{path}: is larger than {MAXIMUM_BYTES} bytes; build the model again")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BuildError(f"{path}: is no report of a build; build the model again") from error
    if not isinstance(value, dict):
        raise BuildError(f"{path}: is no report of a build; build the model again")
    return value


def models_table(reports: Sequence[Mapping[str, Any]]) -> str:
    """A row a report, in Markdown, and what the columns mean."""
    machines = dict.fromkeys(str(report["machine"]) for report in reports)
    rows = [HEAD, "| " + " | ".join(["---"] * (HEAD.count("|") - 1)) + " |", *map(_row, reports)]
    return "\n".join([*rows, "", f"{NOTE}{'; '.join(machines)}.", ""])


def with_table(text: str, table: str, where: str) -> str:
    """``text`` with what stands between the two marks replaced by ``table``."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BuildError(f"{where}: holds no table of samples, expected the lines {BEGIN} and {END}; add them")
    return f"{before}{BEGIN}\n{table}{END}{after}"


def _row(report: Mapping[str, Any]) -> str:
    network, knn = report["models"][:2]
    share = percent(network["trainable"] / network["weights"]) if network["weights"] else "none"
    cells = [
        f"`{report['sample']}`",
        _input(report["input"]),
        f"{byte_count(network['bytes'])} / {byte_count(knn['bytes'])}",
        share,
        *_learnt(report),
        f"{sum(report['seconds'].values()):.0f} s",
    ]
    return f"| {' | '.join(cells)} |"


def _input(given: Mapping[str, Any]) -> str:
    if "width" in given:
        return f"`{given['name']}`, {given['width']} x {given['height']} {given['color']}"
    return f"`{given['name']}`, {' x '.join(map(str, given['shape']))} numbers"


def _learnt(report: Mapping[str, Any]) -> list[str]:
    """Base right, taught and right, kept, photos needed; each of the network and its twin."""
    if report.get("comparison"):
        both = [report["comparison"][name]["summary"]["at_once"] for name in ("network", "knn")]
        right, kept, what = "held_out_accuracy", "test_accuracy", report["comparison"]["kind"]
    elif report.get("slots"):
        both = [report["slots"][name]["points"] for name in ("network", "knn")]
        right, kept, what = "right", "kept", ", ".join(report["slots"]["kinds"])
    else:
        return ["–"] * 4
    photos = both[0][-1]["photos"]
    taught = f"{_pair(points[-1][right]['mean'] for points in both)} of {what} after {photos}"
    needed = " / ".join(_needed(points, right) for points in both)
    return [_pair(points[0][kept]["mean"] for points in both), taught, _pair(p[-1][kept]["mean"] for p in both), needed]


def _pair(shares: Any) -> str:
    return " / ".join(percent(share) for share in shares)


def _needed(points: Sequence[Mapping[str, Any]], right: str) -> str:
    """The least number of photos that was tried with 90% right on average."""
    enough = [point["photos"] for point in points if point[right]["mean"] >= LEARNT]
    return str(enough[0]) if enough else f"over {points[-1]['photos']}"
