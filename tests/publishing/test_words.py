"""Rows that are not pictures are not called so in our sentences; what people wrote stays as they wrote it."""

import dataclasses
import io
import re

import pytest
from rich.console import Console

from coreml_updatable.personalization.wording import OF_PHOTOS, words_for
from coreml_updatable.publishing.report.page import render
from coreml_updatable.publishing.report.terminal import summary
from coreml_updatable.publishing.report.values import Report

OURS = re.compile(r"\b(?:photo|picture)s?\b", re.IGNORECASE)
PLAIN = re.compile(r"<style>.*?</style>|<code>.*?</code>|</?[a-z][^>]*>", re.DOTALL)


@pytest.fixture(scope="module")
def clips(report: Report) -> Report:
    """The report of a model of clips, with every part that a page has; no word of a photo is anybody's own."""
    plain = tuple(dataclasses.replace(model, inputs=(), training_inputs=()) for model in report.models)
    return dataclasses.replace(report, noun="clip", models=plain, paired_with="fast-food")


def printed(report: Report) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(summary(report))
    return out.getvalue()


def test_words() -> None:
    assert words_for("") == OF_PHOTOS
    assert (OF_PHOTOS.photo, OF_PHOTOS.picture) == ("photo", "picture")
    assert (words_for("clip").photo, words_for("clip").picture) == ("clip", "clip")


def test_a_page_of_clips_speaks_of_no_photos(clips: Report) -> None:
    """The plots too, and what stands in attributes for those who do not see them."""
    page = render(clips)
    assert OURS.findall(PLAIN.sub(" ", page)) == []
    assert OURS.findall(" ".join(re.findall(r'(?:alt|aria-label|title)="([^"]*)"', page))) == []
    assert "random orders of the owner’s clips" in page
    assert not re.search(r"\b(drawn|drew|drawings)\b", PLAIN.sub(" ", page)), "clips are not drawn"


def test_a_terminal_of_clips_speaks_of_no_photos(clips: Report) -> None:
    text = printed(clips)
    assert OURS.findall(text) == []
    assert text.count("Clips") == 1


def test_what_people_wrote_stays(clips: Report) -> None:
    """A model, its description, labels and kinds that are called so."""
    assert clips.personalization is not None
    comparison = clips.personalization.comparison
    kind = dataclasses.replace(comparison.entrants[0].kinds[0], kind="picture-frame", label="photo")
    both = tuple(dataclasses.replace(entrant, kinds=(kind, *entrant.kinds[1:])) for entrant in comparison.entrants)
    held_out = dataclasses.replace(clips.personalization.held_out, kinds=("picture-frame",) * 12)
    renamed = dataclasses.replace(
        clips.personalization, comparison=dataclasses.replace(comparison, entrants=both), held_out=held_out
    )
    own = dataclasses.replace(clips, name="Photo", description="By the Photo Club.", personalization=renamed)
    page, text = render(own), printed(own)
    assert "<h1>Photo</h1>" in page
    assert "By the Photo Club." in page
    assert "Clips of picture-frame that no model was trained on" in page
    assert "held-out clips of picture-frame" in page
    assert "picture-frame labeled “photo”: personal and base accuracy" in text


def test_a_page_of_photos_says_so(report: Report) -> None:
    page = render(report)
    assert "random orders of the owner’s photos" in page
    assert "held-out pictures" in page


def test_a_folder_of_clips_is_named_after_them(clips: Report) -> None:
    page = render(clips)
    assert f"make updatable MODEL={clips.sample} DATA=clips/" in page
    assert "DATA=photos/" not in page
