"""The curves lie where the numbers are: read back from the SVG's own paths."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest

from coreml_updatable.personalization.results import Comparison, Spread
from coreml_updatable.publishing.report.plots import Line, history_plots, learning_plot, share_plot


def path_of(svg: str, colour: str) -> np.ndarray:
    """Points [n, 2] of the one line stroked in ``colour``, in the drawing's units (y points down)."""
    root = ElementTree.fromstring(re.sub(r"xlink:href", "href", svg))
    found = [
        element.attrib["d"]
        for element in root.iter("path")
        if f"stroke: var({colour})" in element.attrib.get("style", "") and "clip-path" in element.attrib
    ]
    assert len(found) == 1
    return np.array(re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", found[0]), dtype=float)


def test_points_are_linear_in_the_shares() -> None:
    shares, x = [0.0, 0.3, 0.55, 1.0], (0.0, 1.0, 5.0, 10.0)
    lines = [Line(x, tuple(Spread(y, y, y) for y in shares)), Line(x, tuple(Spread(1 - y, 0, 1) for y in shares))]
    svg = share_plot(lines, "probe", "A probe", "photos", x)
    network, knn = path_of(svg, "--network"), path_of(svg, "--knn")
    for points, values in ((network, shares), (knn, [1 - share for share in shares])):
        fit = np.polyfit(values, points[:, 1], 1)
        assert fit[0] < 0
        np.testing.assert_allclose(np.polyval(fit, values), points[:, 1], atol=1e-3)
        np.testing.assert_allclose(np.polyval(np.polyfit(x, points[:, 0], 1), x), points[:, 0], atol=1e-3)
    np.testing.assert_allclose(network[0, 1], knn[-1, 1], atol=1e-3)  # both 0%


def test_the_text_for_who_can_not_see(make_comparison: Callable[[float, float], Comparison]) -> None:
    svg = learning_plot(make_comparison(0.12, 0.4), "held_out_accuracy", "at_once", "curve", 'A "title" & <more>')
    label = ElementTree.fromstring(svg.replace("xlink:href", "href")).attrib["aria-label"]
    assert label.startswith('A "title" & <more>. network: 0: 0%, 1: 12%')
    assert "k-NN: 0: 0%, 1: 40%" in label


@pytest.mark.parametrize("theme", ["var(--ink-2)", "var(--line)"])
def test_every_colour_is_the_themes(make_comparison: Callable[[float, float], Comparison], theme: str) -> None:
    svg = learning_plot(make_comparison(0.12, 0.4), "test_accuracy", "one_by_one", "curve", "Kept")
    assert theme in svg
    assert not re.findall(r"(?:fill|stroke): ?#[0-9a-f]{6}", svg)
    assert "metadata" not in svg


def test_history_has_a_plot_for_losses_and_one_for_accuracies() -> None:
    history = [{"epoch": n, "train_loss": 1.0 / n, "validation_accuracy": 0.5 + n / 40} for n in range(1, 20)]
    plots = history_plots(history)
    assert list(plots) == ["Loss", "Accuracy"]
    losses = path_of(plots["Loss"], "--network")[: len(history)]
    values = [entry["train_loss"] for entry in history]
    np.testing.assert_allclose(np.polyval(np.polyfit(values, losses[:, 1], 1), values), losses[:, 1], atol=1e-3)
    assert history_plots(()) == {}
