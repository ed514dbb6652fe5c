"""Plots as inline SVG. Same numbers, same text: no dates, fixed ids. Colours are CSS variables of the page's theme."""

import io
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coreml_updatable.personalization.results import Comparison, Spread, SummaryPoint, Way
from coreml_updatable.personalization.wording import OF_PHOTOS, Words
from coreml_updatable.text import shortened, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Stand-in colours that matplotlib can draw with -> what the page makes of them.
INK, GRID, SERIES = "#010203", "#040506", ("#070809", "#0a0b0c")
THEME = {INK: "var(--ink-2)", GRID: "var(--line)", SERIES[0]: "var(--network)", SERIES[1]: "var(--knn)"}
MARKERS, DASHES = ("o", "s"), ("-", (0, (4, 2)))
MAX_LABEL = 60  # characters of a name in a drawing
SIZE = (4.0, 2.75)  # inches; about the width of a phone at 100 units an inch


@dataclass(frozen=True)
class Line:
    """One curve: x, and the spread over the seeds at each x."""

    x: tuple[float, ...]
    y: tuple[Spread, ...]


def curve(points: Iterable[SummaryPoint], field: str) -> Line:
    """The spreads ``field`` of the points, against their numbers of shots."""
    chosen = list(points)
    return Line(tuple(float(point.shots) for point in chosen), tuple(getattr(point, field) for point in chosen))


def learning_plot(comparison: Comparison, field: str, way: Way, name: str, title: str, words: Words = OF_PHOTOS) -> str:
    """A share of ``SummaryPoint`` against the number of shots, for the network and the k-NN."""
    lines = [curve(getattr(outcome.summary, way), field) for _, outcome in comparison.outcomes()]
    ticks = (0, *comparison.shots) if way == "at_once" or len(comparison.kinds) == 1 else _few(lines[0].x)
    return share_plot(lines, name, title, shots_axis(comparison, way, words), ticks)


def shots_axis(comparison: Comparison, way: Way, words: Words) -> str:
    """What the axis of shots counts."""
    each = " of each kind" if len(comparison.kinds) > 1 and way == "at_once" else ""
    return f"shots ({words.photo}s of the owner{each})"


def _few(places: Sequence[float]) -> list[float]:
    return [place for place in places if place % max(1, round(len(places) / 6)) == 0]


def share_plot(lines: Sequence[Line], name: str, title: str, across: str, ticks: Sequence[float]) -> str:
    """Shares from 0 to 1 as percent: means as lines, minimum to maximum as a band."""

    def draw(axes: "Axes") -> None:
        for number, line in enumerate(lines):
            _draw_line(axes, line, number, 100.0)
        axes.set_ylim(-4, 104)
        axes.set_yticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100%"])
        axes.set_xticks(list(ticks), [f"{tick:g}" for tick in ticks])
        axes.set_xlabel(shortened(visible(across), MAX_LABEL))

    description = "; ".join(
        f"{series}: {', '.join(f'{x:g}: {100 * y.mean:.0f}%' for x, y in zip(line.x, line.y, strict=True))}"
        for series, line in zip(("network", "k-NN"), lines, strict=True)
    )
    return _svg(draw, name, f"{title}. {description}")


def history_plots(history: Sequence[Mapping[str, float]]) -> dict[str, str]:
    """One plot for the losses, one for the accuracies of a training, by epoch: title -> SVG."""
    plots = {}
    for ending, title in (("loss", "Loss"), ("accuracy", "Accuracy")):
        names = [name for name in history[0] if name.endswith(ending)] if history else []
        if names:
            names = sorted(names, key=lambda name: (not name.startswith("train"), name))[: len(SERIES)]
            plots[title] = _history_plot(history, names, f"history-{ending}", title)
    return plots


def _history_plot(history: Sequence[Mapping[str, float]], names: Sequence[str], identity: str, title: str) -> str:
    from matplotlib.ticker import MaxNLocator

    epochs = tuple(float(entry.get("epoch", number)) for number, entry in enumerate(history, start=1))

    def draw(axes: "Axes") -> None:
        for number, name in enumerate(names):
            values = tuple(Spread(entry[name], entry[name], entry[name]) for entry in history)
            _draw_line(axes, Line(epochs, values), number, 1.0, shortened(visible(name.replace("_", " ")), MAX_LABEL))
        axes.set_xlabel("epoch")
        axes.margins(y=0.08)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="best")

    said = "; ".join(
        f"{name.replace('_', ' ')} from {history[0][name]:.3g} to {history[-1][name]:.3g}" for name in names
    )
    return _svg(draw, identity, f"{title} by epoch. {said}")


def _draw_line(axes: "Axes", line: Line, number: int, factor: float, label: str | None = None) -> None:
    low = [factor * y.minimum for y in line.y]
    high = [factor * y.maximum for y in line.y]
    if low != high:
        axes.fill_between(line.x, low, high, color=SERIES[number], alpha=0.16, linewidth=0)
    marker = MARKERS[number] if len(line.x) <= 15 else None
    means = [factor * y.mean for y in line.y]
    axes.plot(
        line.x,
        means,
        color=SERIES[number],
        linestyle=DASHES[number],
        marker=marker,
        markersize=4.5,
        linewidth=2,
        label=label,
    )


def _svg(draw: Any, name: str, description: str) -> str:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",
        "font.size": 10,
        "font.family": "DejaVu Sans",
        "text.parse_math": False,  # a name may hold dollar signs
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph .* missing", UserWarning
        )  # the page's font draws the text, not this one
        figure = Figure(figsize=SIZE, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        draw(axes)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=INK, length=0)
        axes.xaxis.label.set_color(INK)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(GRID)
        buffer = io.StringIO()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return _inline(buffer.getvalue(), name, description)


def _inline(svg: str, name: str, description: str) -> str:
    """The <svg> element alone: ids of its own on the page, the theme's colours, a text for who cannot see it."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    for colour, variable in THEME.items():
        svg = svg.replace(colour, variable)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r'xlink:href="#', f'href="#{name}-', svg)
    svg = re.sub(r"font: (?:\w+ )*([\d.]+px) [^;\"]*", r"font-size: \1; font-family: inherit", svg)
    opening = re.match(r"<svg[^>]*>", svg)
    view = re.search(r'viewBox="[^"]*"', svg)
    assert opening is not None  # matplotlib writes both
    assert view is not None
    text = visible(description).replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return f'<svg {view.group()} role="img" aria-label="{text}">{svg[opening.end() :]}'.strip()
