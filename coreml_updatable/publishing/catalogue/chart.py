"""The twins' curves as inline SVG, drawn in a moment: a catalogue of many models is published often.

Colours and lines come from the page's style, so that no style stands in the drawing itself.
"""

from collections.abc import Sequence

from markupsafe import Markup

from coreml_updatable.personalization.results import Comparison
from coreml_updatable.personalization.wording import OF_PHOTOS, Words
from coreml_updatable.publishing.report.plots import Line, curve, shots_axis
from coreml_updatable.text import visible

WIDTH, HEIGHT = 400, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 388, 12, 214  # of the plot inside
SERIES = ("network", "knn")
SHARES = (0, 25, 50, 75, 100)


def learning_chart(comparison: Comparison, field: str, title: str, words: Words = OF_PHOTOS) -> Markup:
    """A share of ``SummaryPoint`` against the shots of one update: means as lines, extremes as bands."""
    lines = [curve(outcome.summary.at_once, field) for _, outcome in comparison.outcomes()]
    return chart(lines, title, shots_axis(comparison, "at_once", words))


def chart(lines: Sequence[Line], title: str, axis: str) -> Markup:
    """The network's line and its twin's; ``axis`` says what is counted."""
    most = max(lines[0].x) or 1.0
    told = "; ".join(
        f"{name}: {', '.join(f'{x:g}: {100 * y.mean:.0f}%' for x, y in zip(line.x, line.y, strict=True))}"
        for name, line in zip(("network", "k-NN"), lines, strict=True)
    )
    parts = [*_grid(), *_ticks(lines[0].x, most, axis)]
    for name, line in zip(SERIES, lines, strict=True):
        parts += _series(name, line, most)
    opening = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}. {}">').format(
        WIDTH, HEIGHT, visible(title), told
    )
    return opening + Markup("").join(parts) + Markup("</svg>")


def _grid() -> list[Markup]:
    made = []
    for share in SHARES:
        y = _y(share / 100)
        made.append(Markup('<path class="grid" d="M{} {}H{}"/>').format(LEFT, y, RIGHT))
        text = f"{share}%" if share == SHARES[-1] else f"{share}"
        made.append(Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(LEFT - 8, y + 4, text))
    return made


def _ticks(places: Sequence[float], most: float, axis: str) -> list[Markup]:
    """A number at each place that is not too near the one before, and what they count."""
    made, last = [], -100.0
    for place in places:
        x = _x(place, most)
        if x - last >= 20:
            made.append(_centred(x, BOTTOM + 20, f"{place:g}"))
            last = x
    return [*made, _centred((LEFT + RIGHT) / 2, BOTTOM + 40, visible(axis))]


def _centred(x: float, y: float, text: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(x, y, text)


def _series(name: str, line: Line, most: float) -> list[Markup]:
    xs = [_x(x, most) for x in line.x]
    low, high, mean = ([_y(getattr(y, end)) for y in line.y] for end in ("minimum", "maximum", "mean"))
    made = []
    if low != high:
        around = _points([*xs, *reversed(xs)], [*high, *reversed(low)])
        made.append(Markup('<polygon class="band {}" points="{}"/>').format(name, around))
    made.append(Markup('<polyline class="line {}" points="{}"/>').format(name, _points(xs, mean)))
    made += [
        Markup('<circle class="mark {}" cx="{}" cy="{}" r="3.2"/>').format(name, x, y)
        for x, y in zip(xs, mean, strict=True)
    ]
    return made


def _points(xs: Sequence[float], ys: Sequence[float]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in zip(xs, ys, strict=True))


def _x(place: float, most: float) -> float:
    return round(LEFT + 8 + (RIGHT - LEFT - 16) * place / most, 1)


def _y(share: float) -> float:
    return round(BOTTOM + (TOP - BOTTOM) * share, 1)
