"""The page of a tuning: what was chosen, what it gains on owners it was not chosen on, and how sharp the optimum is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coreml_updatable.personalization.results import Interval
from coreml_updatable.personalization.tuning import Trial, TuneResult
from coreml_updatable.publishing.chart import Curve, chart, scatter
from coreml_updatable.publishing.report.comparison import STYLES, write_report
from coreml_updatable.publishing.templates import template, text_of

FLAT = 0.01  # of personal accuracy, that half or twice a value may cost


def listed(values: Mapping[str, Any]) -> str:
    """The values in a line."""
    return ", ".join(f"{key} {_shown(value)}" for key, value in values.items())


def beside(values: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """What differs from the chosen values."""
    return listed({key: value for key, value in values.items() if value != chosen[key]})


def sharpness(result: TuneResult) -> str:
    """Which values matter, in a sentence: those of which half or twice as much costs a point or is not allowed."""
    sharp, flat = list[str](), list[str]()
    for name, near in _by_value(result).items():
        close = [item for item in near if 0.4 < item.values[name] / result.chosen[name] < 2.6]
        moved = [
            item
            for item in close
            if item.personal < result.best.personal - FLAT or not item.is_allowed(result.forgetting)
        ]
        (sharp if moved else flat).append(name)
    sentences = []
    if sharp:
        sentences.append(
            f"The optimum is sharp in {', '.join(sharp)}: half or twice the value costs more than a point of median "
            "personal accuracy, or forgets more than is allowed."
        )
    if flat:
        sentences.append(f"It is flat in {', '.join(flat)}: half or twice the value does as well within a point.")
    return " ".join(sentences) or "No value can be halved or doubled."


def render_tune(result: TuneResult) -> str:
    """The whole page as HTML, which asks nothing of the network."""
    from markupsafe import Markup

    front = _front(result.tried)
    keys = dict.fromkeys([*result.defaults, *result.chosen])
    page: str = template("report/tune.html.j2").render(
        result=result,
        style=Markup(text_of("report/report.css") + text_of("report/comparison.css")),
        values=[
            (key, *(_shown(values[key]) if key in values else "–" for values in (result.defaults, result.chosen)))
            for key in keys
        ],
        sharpness=sharpness(result),
        curves=[(name, _curve(name, result, near)) for name, near in _by_value(result).items()],
        around=[
            (beside(item.values, result.chosen), item, item.is_allowed(result.forgetting)) for item in result.around
        ],
        progress=_progress(result),
        front=[(listed(item.values), item) for item in front],
        pareto=scatter(
            [(listed(item.values), max(0.0, item.forgetting), item.personal) for item in front],
            "Personal accuracy against forgetting",
            "forgetting of the 95th owner in 100 (points)",
            STYLES,
        ),
    )
    return page


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _by_value(result: TuneResult) -> dict[str, list[Trial]]:
    """The settings beside the chosen one by the value that they change."""
    output: dict[str, list[Trial]] = {}
    for item in result.around:
        for key, value in item.values.items():
            if value != result.chosen[key]:
                output.setdefault(key, []).append(item)
    return output


def _curve(name: str, result: TuneResult, near: Sequence[Trial]) -> Any:
    points = sorted([*near, result.best], key=lambda item: float(item.values[name]))
    ends = tuple(
        Interval(point.personal, min(point.personal, point.mean), max(point.personal, point.mean)) for point in points
    )
    places = tuple(float(index) for index in range(len(points)))
    line = Curve(name, places, ends)
    text = ", ".join(_shown(point.values[name]) for point in points)
    return chart([line], f"Personal accuracy by {name}", text, ticks=(), styles=STYLES)


def _progress(result: TuneResult) -> Any:
    best, ends = 0.0, []
    for item in result.tried:
        best = max(best, item.personal) if item.is_allowed(result.forgetting) else best
        ends.append(Interval(best, best, best))
    counts = tuple(float(index) for index in range(1, len(ends) + 1))
    step = max(1, len(ends) // 5)
    ticks = [1, *range(step, len(ends) + 1, step)]
    return chart(
        [Curve("best so far", counts, tuple(ends))], "Best so far", "settings tried", ticks=ticks, styles=STYLES
    )


def _front(tried: Sequence[Trial]) -> list[Trial]:
    """The settings that no other one beats in both, at most as many as there are styles, from the least forgetting."""
    kept, best = list[Trial](), -1.0
    for item in sorted(tried, key=lambda entry: (max(0.0, entry.forgetting), -entry.personal)):
        if item.personal > best:
            kept.append(item)
            best = item.personal
    if len(kept) <= len(STYLES):
        return kept
    return [kept[round(place * (len(kept) - 1) / (len(STYLES) - 1))] for place in range(len(STYLES))]


def write_tune(folder: Path, result: TuneResult) -> None:
    """Write report.html and report.json into ``folder``; both or none."""
    write_report(folder, result.as_json(), render_tune(result))
