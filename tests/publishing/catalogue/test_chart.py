"""The chart: its points lie where the numbers say."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from coreml_updatable.personalization.results import Comparison
from coreml_updatable.publishing.catalogue.chart import BOTTOM, TOP, learning_chart


def test_marks_lie_where_the_numbers_say(make_comparison: Callable[[float, float], Comparison]) -> None:
    comparison = make_comparison(0.12, 0.4)
    svg = ElementTree.fromstring(learning_chart(comparison, "held_out_accuracy", 'A "title" <b>'))
    for name, outcome in (("network", comparison.network), ("knn", comparison.knn)):
        marks = [one for one in svg.iter("circle") if one.attrib["class"] == f"mark {name}"]
        points = outcome.summary.at_once
        heights = [(BOTTOM - float(mark.attrib["cy"])) / (BOTTOM - TOP) for mark in marks]
        assert heights == pytest.approx([point.held_out_accuracy.mean for point in points], abs=0.001)
        xs = [float(mark.attrib["cx"]) for mark in marks]
        photos = [point.shots for point in points]
        shares = [(x - xs[0]) / (xs[-1] - xs[0]) for x in xs]
        assert shares == pytest.approx([one / photos[-1] for one in photos], abs=0.001)
        (band,) = (one for one in svg.iter("polygon") if one.attrib["class"] == f"band {name}")
        assert len(band.attrib["points"].split()) == 2 * len(points)
    label = svg.attrib["aria-label"]
    assert label.startswith('A "title" <b>. network: 0: 0%, 1: ')
    assert re.search(r"; k-NN: 0: 0%, 1: ", label)
