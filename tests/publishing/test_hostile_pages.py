"""Names that would escape from a page, a drawing, a table or a string of Swift."""

import dataclasses
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

from coreml_updatable.personalization.results import Called, Interval
from coreml_updatable.publishing.chart import Curve, chart
from coreml_updatable.publishing.report.comparison import curves, rows_of
from coreml_updatable.publishing.report.json import report_object
from coreml_updatable.publishing.report.page import render
from coreml_updatable.publishing.report.terminal import summary
from coreml_updatable.publishing.report.values import NewLabel, Report
from coreml_updatable.publishing.swift import literal
from coreml_updatable.text import json_text
from tests.cli.hostile_text import FORGED, HOSTILE, expect_safe

NAMES = pytest.mark.parametrize("name", [*HOSTILE.values(), "\udcff"], ids=[*HOSTILE, "not UTF-8"])


def hostile(report: Report, name: str) -> Report:
    assert report.personalization is not None
    old = report.personalization.comparison
    kind = dataclasses.replace(old.entrants[0].kinds[0], kind=name, label=name)
    kind = dataclasses.replace(kind, before=Called(0.0, {name: 1.0}), after=Called(0.5, {name: 0.5, "other": 0.5}))
    both = tuple(dataclasses.replace(entrant, name=name, kinds=(kind, *entrant.kinds[1:])) for entrant in old.entrants)
    comparison = dataclasses.replace(old, entrants=both, conclusions=(name,))
    new_label = NewLabel(name, {name: name}, comparison)
    held_out = dataclasses.replace(report.personalization.held_out, kinds=(name,) * 12)
    model = dataclasses.replace(report.models[0], file=name, updatable=(name,), summary=name)
    return dataclasses.replace(
        report,
        name=name,
        sample=name,
        description=name,
        noun=name,
        models=(model, report.models[1]),
        personalization=dataclasses.replace(
            report.personalization, comparison=comparison, new_label=new_label, held_out=held_out
        ),
        source={name: name, "warning": name},
    )


class Words(HTMLParser):
    """The text of a page, and whatever could run."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.running: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object") or any(name.startswith("on") for name, _ in attrs):
            self.running.append(tag)
        self.words += [value for _, value in attrs if value]


@NAMES
def test_a_report(report: Report, name: str) -> None:
    page = render(hostile(report, name))
    page.encode()
    words = Words()
    words.feed(page)
    assert words.running == []
    shown = "".join(words.words).replace("\n", " ").replace("\u00a0", " ")
    assert not {item for item in shown if not item.isprintable()}
    result = json.loads(json_text(report_object(hostile(report, name))))
    assert result["sample"] == name
    json_text(report_object(hostile(report, name))).encode()


@NAMES
def test_the_short_form(report: Report, name: str) -> None:
    from io import StringIO

    from rich.console import Console

    console = Console(file=StringIO(), record=True, width=100)
    console.print(summary(hostile(report, name)), soft_wrap=True)
    text = console.export_text()
    assert not {item for item in text.replace("\n", "") if not item.isprintable()}
    assert not any(line.lstrip().startswith(FORGED) for line in text.split("\n"))


@NAMES
def test_drawings(report: Report, name: str) -> None:
    line = Curve(name, (0.0, 1.0), (Interval(0, 0, 0), Interval(1, 1, 1)))
    drawn = str(chart([line, line], name, name, ticks=(0, 1), legend=True))
    given = hostile(report, name).personalization
    assert given is not None
    for svg in (drawn, str(curves(given.comparison, rows_of(given.comparison))[0][1])):
        svg.encode()
        root = ElementTree.fromstring(svg.replace("<svg", '<svg xmlns:xlink="http://www.w3.org/1999/xlink"', 1))
        assert all(not key.startswith("on") for node in root.iter() for key in node.attrib)
        assert not [node for node in root.iter() if node.tag.endswith("script")]
        expect_safe(re.sub(r"n{200,}|(m m ){100,}", "", " ".join((root.get("aria-label") or "").splitlines()))[:5000])


@NAMES
def test_swift(name: str) -> None:
    text = literal(name)
    assert text.isprintable()
    assert "\\u{d" not in re.sub(r"\\u\{d[0-7a-f]?[0-9a-f]?\}", "", text)  # no half of a surrogate pair
