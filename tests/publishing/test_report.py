"""The page as a reader's browser sees it: parsed, not compared with stored text."""

import dataclasses
import os
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.machine import busy_note
from coreml_updatable.publishing.report.page import render
from coreml_updatable.publishing.report.values import DataFacts, Report

VOID = {"meta", "img", "br", "link", "input", "hr", "col"}


class Page(HTMLParser):
    """Tags in order, text, and whether every tag that opens closes in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.faults: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(render(report))


def test_every_tag_closes_in_its_turn(page: Page) -> None:
    assert page.faults == []
    assert page.open == []
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1


def test_times_of_a_busy_machine_are_marked(report: Report) -> None:
    cores = float(os.cpu_count() or 1)
    assert busy_note(cores) in render(dataclasses.replace(report, other_programs=cores))
    assert "Other programs" not in render(dataclasses.replace(report, other_programs=0.0))


def test_a_row_that_no_picture_tells_anything_of_is_told_by_its_name(report: Report) -> None:
    """As of a note, of which a model sees an embedding."""
    given = report.personalization
    assert given is not None
    parts = {
        part: dataclasses.replace(rows, values=np.zeros((len(rows), 0, 0, 3), np.uint8))
        for part in ("owner", "held_out", "test")
        for rows in (getattr(given, part),)
    }
    page = Page(render(dataclasses.replace(report, personalization=dataclasses.replace(given, **parts))))
    assert page.faults == []
    assert page.all("img") == []
    assert given.held_out.names[0] in page.text()


def test_nothing_is_fetched(page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert "http" not in page.text()


def test_ids_are_unique_and_references_lead_somewhere(report: Report) -> None:
    text = render(report)
    page = Page(text)
    ids = Counter(attributes["id"] for _, attributes in page.tags if "id" in attributes)
    assert max(ids.values()) == 1
    wanted = [attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes]
    wanted += [(link["xlink:href"] if "xlink:href" in link else link["href"] or "")[1:] for link in page.all("use")]  # type: ignore[index]
    wanted += [part.split(")")[0] for part in text.split("url(#")[1:]]
    assert wanted
    assert set(wanted) <= set(ids)


def test_pictures_have_a_text_and_tables_a_scope(page: Page) -> None:
    assert page.all("img")
    assert all(image["alt"] for image in page.all("img"))
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.all("svg"))
    assert page.all("th")
    assert all(cell.get("scope") for cell in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))


def test_eight_pictures_of_the_owner_and_two_of_each_kind(page: Page) -> None:
    shown = Counter(image["alt"].split(",")[0] for image in page.all("img") if image["alt"])
    assert shown["pancakes"] == 8
    assert shown["salad"] == shown["fries"] == 2
    assert shown["burger"] == 3  # one of them was forgotten, and is shown there too
    assert "1 of 18 test pictures was right before and wrong after" in page.text()


def test_drawn_pictures_are_called_drawn_before_any_number(page: Page) -> None:
    text = page.text()
    assert text.index("These pictures are drawn.") < text.index("%")
    assert "make updatable MODEL=healthy_luncher DATA=photos/" in text


@pytest.mark.parametrize("origin", ["photos", "loaded"])
def test_other_pictures_are_not(report: Report, origin: Any) -> None:
    data = DataFacts(origin, "1,797 digits that people wrote.", {"0": 1}, {}, {}, ("broken.jpg",))
    text = Page(render(dataclasses.replace(report, data=data))).text()
    assert "drawn" not in text
    assert ("1,797 digits that people wrote." in text) == (origin == "loaded")
    assert "1 file was skipped: broken.jpg" in text


def test_hostile_names_stay_text(report: Report) -> None:
    hostile = dataclasses.replace(
        report, name="<script>alert(1)</script>", input=ImageInput('a"b\\', 8, 8, "rgb"), description="</p><img src=x>"
    )
    page = Page(render(hostile))
    assert page.faults == []
    assert not page.all("script")
    assert "<script>alert(1)</script>" in page.text()
    assert r'"a\"b\\": MLFeatureValue(imageAt' in page.text()


def test_without_an_owner_the_page_is_whole(report: Report) -> None:
    page = Page(render(dataclasses.replace(report, personalization=None, history=())))
    assert page.faults == []
    assert "HealthyLuncherKNN.mlmodel" in page.text()
    assert "pancakes" not in page.text()


def test_each_model_says_what_an_update_changes(report: Report) -> None:
    network, knn = (
        dataclasses.replace(model, updatable=()) if model.kind == "k-NN" else model for model in report.models
    )
    text = Page(render(dataclasses.replace(report, models=(network, knn)))).text()
    assert f"Updatable {', '.join(network.updatable)} " in text
    assert "Updatable the samples it stores " in text


def test_same_values_same_bytes(report: Report) -> None:
    assert render(report) == render(report)


def test_the_refusal_is_quoted(page: Page) -> None:
    assert "label: 'pancakes' is not one of <fast-food, healthy>; expected a known label" in page.text()
