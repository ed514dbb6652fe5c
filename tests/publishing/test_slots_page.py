"""New kinds in open slots, on the page, on a terminal and in report.json."""

import dataclasses
import io
import json

import pytest
from rich.console import Console

from coreml_updatable.publishing.report.json import report_json
from coreml_updatable.publishing.report.page import render
from coreml_updatable.publishing.report.slots import slots_sentences
from coreml_updatable.publishing.report.terminal import summary
from coreml_updatable.publishing.report.values import Report, Slots
from tests.publishing.test_report import Page


@pytest.fixture(scope="module")
def slotted(report: Report, slots: Slots) -> Report:
    return dataclasses.replace(report, personalization=None, slots=slots)


def test_the_page_is_whole_and_shows_every_number(slotted: Report, slots: Slots) -> None:
    page = Page(render(slotted))
    assert page.faults == page.open == []
    words = " ".join(page.words)
    for outcome in (slots.comparison.network, slots.comparison.knn):
        for point in outcome.points:
            assert f"{100 * point.right.mean:g}%" in words
    assert sum(dict(attributes).get("class") == "card" for tag, attributes in page.tags if tag == "li") == 8
    assert "New kinds, learned on the device" in words


def test_the_sentences_say_what_the_numbers_are(slots: Slots) -> None:
    network, knn = slots_sentences(slots.comparison)
    assert "Before, the network calls 100% of the pictures “unknown”" in network
    assert "personal accuracy is 10% after 1 and 30% after 3; none of these numbers is enough for 90%" in network
    assert "personal accuracy is 31% after 1 and 93% after 3; 3 photos of each are enough for 90%" in knn


@pytest.mark.parametrize("width", [60, 80])
def test_a_row_for_each_number_of_photos_that_fits_the_terminal(slotted: Report, width: int) -> None:
    out = io.StringIO()
    Console(file=out, width=width).print(summary(slotted))
    lines = out.getvalue().splitlines()
    rows = [line.split("│")[1].strip() for line in lines if line.startswith("│")]
    assert rows[-3:] == ["0", "1", "3"]
    assert max(map(len, lines)) <= width


def test_report_json_holds_the_points(slotted: Report, report: Report, slots: Slots) -> None:
    read = json.loads(report_json(slotted))["slots"]
    assert read == json.loads(json.dumps(dataclasses.asdict(slots.comparison)))
    assert json.loads(report_json(report))["slots"] is None
