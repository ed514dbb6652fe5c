"""Several kinds of the owner's with reserved labels, on the page, on a terminal and in report.json."""

import io
import json

import pytest
from rich.console import Console

from coreml_updatable.personalization.results import read_comparison
from coreml_updatable.publishing.report.json import report_object
from coreml_updatable.publishing.report.page import render
from coreml_updatable.publishing.report.terminal import summary
from coreml_updatable.publishing.report.values import Report
from coreml_updatable.text import json_text
from tests.publishing.test_report import Page


def test_the_page_is_whole_and_shows_every_kind(stickers: Report) -> None:
    page = Page(render(stickers))
    assert page.faults == page.open == []
    words = " ".join(" ".join(page.words).split())
    assert stickers.personalization is not None
    for entrant in stickers.personalization.comparison.entrants:
        for kind in entrant.of_owner():
            assert f"{100 * kind.after.accuracy:.1f}".removesuffix(".0") + "%" in words
    assert "The network has 3 reserved labels" in words
    assert "user0" in words
    assert "10 photos of each kind" in words
    cards = sum(dict(attributes).get("class") == "card" for tag, attributes in page.tags if tag == "li")
    assert cards == 2 * 4 + 3 * 2 + 1  # of each new kind, of each kind of the base's, and the forgotten one


@pytest.mark.parametrize("width", [60, 80])
def test_a_row_for_each_number_of_shots_that_fits_the_terminal(stickers: Report, width: int) -> None:
    out = io.StringIO()
    Console(file=out, width=width).print(summary(stickers))
    lines = out.getvalue().splitlines()
    rows = [line.split("│")[1].strip() for line in lines if line.startswith("│")]
    assert [row for row in rows if row][-6:] == ["0", "1", "2", "3", "5", "10"]
    assert max(map(len, lines)) <= width


def test_report_json_holds_the_comparison(stickers: Report, report: Report) -> None:
    read = json.loads(json_text(report_object(stickers)))
    assert stickers.personalization is not None
    assert read_comparison(read["comparison"]) == stickers.personalization.comparison
    assert read["reserved_labels"] == 3
    assert json.loads(json_text(report_object(report)))["reserved_labels"] == 0
