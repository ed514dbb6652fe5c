"""Curves as inline SVG, drawn in a moment: a report has some, and a catalogue of many models is published often.

Colors and line styles come from the page's style (report.css), so a drawing follows the page's theme.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from coreml_updatable.personalization.results import Interval
from coreml_updatable.text import shortened, visible

WIDTH, HEIGHT = 400, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 388, 12, 214  # of the plot inside
SERIES = ("network", "knn")  # classes of the page's style
MOST_MARKS = 15  # more points are shown as a line alone
MAX_LABEL = 60  # characters of a name in a drawing


@dataclass(frozen=True)
class Curve:
    """One curve: what it is called, x, and the mean and its ends at each x."""

    name: str
    x: tuple[float, ...]
    y: tuple[Interval, ...]


@dataclass(frozen=True)
class AxisScale:
    """From values to places in the drawing; ``ticks`` are the values that the axis shows, ``text`` how."""

    low: float
    high: float
    ticks: tuple[float, ...]
    text: Callable[[float], str]

    def place(self, value: float, start: float, end: float) -> float:
        return round(start + (end - start) * (value - self.low) / (self.high - self.low or 1.0), 1)


SHARES = AxisScale(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0), lambda share: "100%" if share == 1 else f"{100 * share:g}")


def history_charts(history: Sequence[Mapping[str, float]]) -> dict[str, Markup]:
    """One chart for the losses, one for the accuracies of a training, by epoch: title -> SVG."""
    charts = {}
    epochs = tuple(float(entry.get("epoch", index)) for index, entry in enumerate(history, start=1))
    for ending, title in (("loss", "Loss"), ("accuracy", "Accuracy")):
        names = [name for name in history[0] if name.endswith(ending)] if history else []
        names = sorted(names, key=lambda name: (not name.startswith("train"), name))[: len(SERIES)]
        lines = [
            Curve(name.replace("_", " "), epochs, tuple(Interval(*[entry[name]] * 3) for entry in history))
            for name in names
        ]
        if lines:
            values = [end.mean for line in lines for end in line.y]
            scale = SHARES if ending == "accuracy" else nice_scale(min(0.0, *values), max(values))
            charts[title] = chart(lines, f"{title} by epoch", "epoch", ticks=epochs, scale=scale, legend=True)
    return charts


def chart(
    lines: Sequence[Curve],
    title: str,
    axis: str,
    *,
    ticks: Sequence[float],
    scale: AxisScale = SHARES,
    legend: bool = False,
    styles: Sequence[str] = SERIES,
) -> Markup:
    """At most as many lines as ``styles``; ``axis`` says what ``ticks`` count. Its numbers are told to those who do not
    see it, too."""
    ends = [x for line in lines for x in line.x]
    across = AxisScale(min(ends), max(ends), tuple(ticks), lambda value: f"{value:g}")
    text = "; ".join(
        f"{line.name}: {', '.join(f'{x:g}: {_told(y.mean, scale)}' for x, y in zip(line.x, line.y, strict=True))}"
        for line in lines
    )
    parts = [*_grid(scale), *_ticks(across, axis)]
    for style, line in zip(styles, lines, strict=False):
        parts += _series(style, line, across, scale)
    if legend:
        parts += _legend(lines)
    return _drawing(title, text, parts)


@dataclass(frozen=True)
class Box:
    """A distribution: what it is of, and its percentiles 5, 25, 50, 75 and 95."""

    name: str
    percentiles: tuple[float, float, float, float, float]


def boxes(rows: Sequence[Box], title: str, axis: str, styles: Sequence[str]) -> Markup:
    """Shares as boxes side by side: the line in it is the median, its ends the quarters, the whiskers p5 and p95."""
    text = "; ".join(f"{row.name}: {', '.join(_told(value, SHARES) for value in row.percentiles)}" for row in rows)
    parts = [*_grid(SHARES), _centered((LEFT + RIGHT) / 2, BOTTOM + 40, axis)]
    step = (RIGHT - LEFT) / max(1, len(rows))
    for place, (row, style) in enumerate(zip(rows, styles, strict=False)):
        x, half = round(LEFT + step * (place + 0.5), 1), round(min(18.0, step / 3), 1)
        p5, p25, p50, p75, p95 = (SHARES.place(min(1.0, max(0.0, value)), BOTTOM, TOP) for value in row.percentiles)
        parts.append(Markup('<path class="line {}" d="M{} {}V{}M{} {}V{}"/>').format(style, x, p5, p25, x, p75, p95))
        parts.append(
            Markup('<rect class="band {}" x="{}" y="{}" width="{}" height="{}"/>').format(
                style, round(x - half, 1), p75, 2 * half, round(max(0.5, p25 - p75), 1)
            )
        )
        parts.append(Markup('<path class="line {}" d="M{} {}h{}"/>').format(style, round(x - half, 1), p50, 2 * half))
        parts.append(_centered(x, BOTTOM + 20, str(place + 1)))
    return _drawing(title, text, parts)


def scatter(points: Sequence[tuple[str, float, float]], title: str, across: str, styles: Sequence[str]) -> Markup:
    """Name, x (points of forgetting, a share) and y (a share) of each: a mark with the number of its place."""
    low = min(0.0, *(x for _, x, _ in points))
    wide = nice_scale(low, max(0.01, *(x for _, x, _ in points)))
    text = "; ".join(f"{name}: {_told(y, SHARES)} at {100 * x:.1f} points" for name, x, y in points)
    scale = AxisScale(wide.low, wide.high, wide.ticks, lambda value: f"{100 * value:g}")
    parts = [*_grid(SHARES), *_ticks(scale, across)]
    for place, ((_, x, y), style) in enumerate(zip(points, styles, strict=False)):
        left, top = _x(scale, x), SHARES.place(y, BOTTOM, TOP)
        parts.append(Markup('<circle class="mark {}" cx="{}" cy="{}" r="4.5"/>').format(style, left, top))
        parts.append(
            Markup('<text x="{}" y="{}">{}</text>').format(left + 7, top + (-5 if place % 2 else 13), place + 1)
        )
    return _drawing(title, text, parts)


def _drawing(title: str, text: str, parts: Sequence[Markup]) -> Markup:
    opening = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}. {}">').format(
        WIDTH, HEIGHT, visible(title), visible(text)
    )
    return opening + Markup("").join(parts) + Markup("</svg>")


def nice_scale(low: float, high: float) -> AxisScale:
    """A scale from ``low`` to ``high`` with at most six ticks at 1, 2 or 5 times a power of ten."""
    span = high - low if high - low > 1e-300 else 1.0  # no logarithm of what a division may round to zero
    power = 10 ** math.floor(math.log10(span / 5))
    step = next(factor * power for factor in (1, 2, 5, 10) if span <= 5 * factor * power)
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    ticks = tuple(step * index for index in range(first, last + 1))
    return AxisScale(ticks[0], ticks[-1], ticks, lambda value: f"{value:.3g}")


def _told(value: float, scale: AxisScale) -> str:
    return f"{100 * value:.0f}%" if scale is SHARES else f"{value:.3g}"


def _grid(scale: AxisScale) -> list[Markup]:
    result = []
    for value in scale.ticks:
        y = scale.place(value, BOTTOM, TOP)
        result.append(Markup('<path class="grid" d="M{} {}H{}"/>').format(LEFT, y, RIGHT))
        result.append(
            Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(LEFT - 8, y + 4, scale.text(value))
        )
    return result


def _ticks(across: AxisScale, axis: str) -> list[Markup]:
    """A number at each place that is not too near the one before, and what they count."""
    result, last = [], -100.0
    for value in across.ticks:
        x = _x(across, value)
        if x - last >= 20:
            result.append(_centered(x, BOTTOM + 20, across.text(value)))
            last = x
    return [*result, _centered((LEFT + RIGHT) / 2, BOTTOM + 40, visible(shortened(axis, MAX_LABEL)))]


def _centered(x: float, y: float, text: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(x, y, text)


def _series(style: str, line: Curve, across: AxisScale, scale: AxisScale) -> list[Markup]:
    xs = [_x(across, x) for x in line.x]
    low, high, mean = ([scale.place(getattr(y, end), BOTTOM, TOP) for y in line.y] for end in ("low", "high", "mean"))
    result = []
    if low != high:
        around = _points([*xs, *reversed(xs)], [*high, *reversed(low)])
        result.append(Markup('<polygon class="band {}" points="{}"/>').format(style, around))
    result.append(Markup('<polyline class="line {}" points="{}"/>').format(style, _points(xs, mean)))
    for x, y in zip(xs, mean, strict=True) if len(xs) <= MOST_MARKS else ():
        result.append(Markup('<circle class="mark {}" cx="{}" cy="{}" r="3.2"/>').format(style, x, y))
    return result


def _legend(lines: Sequence[Curve]) -> list[Markup]:
    result = []
    for index, (style, line) in enumerate(zip(SERIES, lines, strict=False)):
        y = TOP + 8 + 18 * index
        result.append(Markup('<path class="line {}" d="M{} {}h28"/>').format(style, RIGHT - 28, y))
        name = visible(shortened(line.name, MAX_LABEL))
        result.append(Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(RIGHT - 36, y + 4, name))
    return result


def _points(xs: Sequence[float], ys: Sequence[float]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in zip(xs, ys, strict=True))


def _x(across: AxisScale, value: float) -> float:
    return across.place(value, LEFT + 8, RIGHT - 8)
