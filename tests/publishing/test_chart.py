"""The chart: its points lie where the numbers say, in the theme's colors, and its numbers are told in words."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreml_updatable.personalization.results import Comparison, Interval
from coreml_updatable.publishing.chart import BOTTOM, SERIES, TOP, Curve, chart, history_charts, nice_scale
from coreml_updatable.publishing.report.comparison import curves, rows_of

MakeComparison = Callable[[float, float], Comparison]


def points_of(svg: str, style: str) -> np.ndarray:
    """Points [n, 2] of a line, in the drawing's units (y points down)."""
    (line,) = (item for item in ElementTree.fromstring(svg).iter("polyline") if item.attrib["class"] == f"line {style}")
    return np.array([pair.split(",") for pair in line.attrib["points"].split()], dtype=float)


@pytest.mark.parametrize("place", [0, 2])
def test_marks_lie_where_the_numbers_say(make_comparison: MakeComparison, place: int) -> None:
    comparison = make_comparison(0.12, 0.4)
    title, drawing = curves(comparison, rows_of(comparison, SERIES))[place]
    protocol = ("at_once", "", "one_by_one")[place]
    svg = ElementTree.fromstring(str(drawing))
    for style, entrant in zip(SERIES, comparison.entrants, strict=True):
        marks = [mark for mark in svg.iter("circle") if mark.attrib["class"] == f"mark {style}"]
        points = [point for point in entrant.points if point.shots == 0 or point.protocol == protocol]
        heights = [(BOTTOM - float(mark.attrib["cy"])) / (BOTTOM - TOP) for mark in marks]
        assert heights == pytest.approx([point.intervals["personal_accuracy"].mean for point in points], abs=0.001)
        xs = [float(mark.attrib["cx"]) for mark in marks]
        shares = [(x - xs[0]) / (xs[-1] - xs[0]) for x in xs]
        assert shares == pytest.approx([point.shots / points[-1].shots for point in points], abs=0.001)
        (band,) = (mark for mark in svg.iter("polygon") if mark.attrib["class"] == f"band {style}")
        assert len(band.attrib["points"].split()) == 2 * len(points)
    label = svg.attrib["aria-label"]
    assert label.startswith(f"{title}. network: 0: 0%, 1: ")
    assert re.search(r"; k-NN: 0: 0%, 1: ", label)


def test_points_are_linear_in_the_shares() -> None:
    shares, x = [0.0, 0.3, 0.55, 1.0], (0.0, 1.0, 5.0, 10.0)
    rising = Curve("network", x, tuple(Interval(y, y, y) for y in shares))
    falling = Curve("k-NN", x, tuple(Interval(1 - y, 0, 1) for y in shares))
    svg = str(chart([rising, falling], "A probe", "shots", ticks=x))
    network, knn = points_of(svg, "network"), points_of(svg, "knn")
    for points, values in ((network, shares), (knn, [1 - share for share in shares])):
        fit = np.polyfit(values, points[:, 1], 1)
        assert fit[0] < 0
        np.testing.assert_allclose(np.polyval(fit, values), points[:, 1], atol=0.06)
        np.testing.assert_allclose(np.polyval(np.polyfit(x, points[:, 0], 1), x), points[:, 0], atol=0.06)
    assert network[0, 1] == knn[-1, 1]  # both 0%


def test_no_color_stands_in_the_drawing(make_comparison: MakeComparison) -> None:
    comparison = make_comparison(0.12, 0.4)
    svg = str(curves(comparison, rows_of(comparison))[1][1])
    assert not re.findall(r"style=|(?:fill|stroke)=|#[0-9a-f]{6}", svg)


def test_history_has_a_chart_for_losses_and_one_for_accuracies() -> None:
    history = [{"epoch": n, "train_loss": 1.0 / n, "validation_accuracy": 0.5 + n / 40} for n in range(1, 20)]
    charts = history_charts(history)
    assert list(charts) == ["Loss", "Accuracy"]
    losses = points_of(str(charts["Loss"]), "network")
    values = [entry["train_loss"] for entry in history]
    np.testing.assert_allclose(np.polyval(np.polyfit(values, losses[:, 1], 1), values), losses[:, 1], atol=0.06)
    assert "train loss" in "".join(ElementTree.fromstring(charts["Loss"]).itertext())
    assert history_charts(()) == {}


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_scale_holds_what_it_is_for(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    scale = nice_scale(low, high)
    assert scale.low <= low + 1e-6 * abs(low) + 1e-300
    assert scale.high >= high - 1e-6 * abs(high) - 1e-300
    assert 2 <= len(scale.ticks) <= 7
