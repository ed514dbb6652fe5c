"""report.html: one page that holds all it shows. Values in, text out; the caller writes it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import ArrayInput, UInt8Array
from coreml_updatable.personalization.results import ENOUGH, Comparison, Outcome, Way
from coreml_updatable.personalization.wording import Words, percent, words_for
from coreml_updatable.publishing import wording
from coreml_updatable.publishing.chart import history_charts, learning_chart
from coreml_updatable.publishing.report.gallery import base_cards, lost_cards, owners_cards
from coreml_updatable.publishing.report.pictures import LARGE, data_uri, mask_uri
from coreml_updatable.publishing.report.story import (
    headline,
    new_label_sentence,
    owners_kinds,
    owners_labels,
    shots_of_each,
    story,
)
from coreml_updatable.publishing.report.values import Base, Fixed, Personalization, Report
from coreml_updatable.publishing.swift import update_snippet
from coreml_updatable.publishing.templates import template, text_of

CURVES: tuple[tuple[str, Way, str], ...] = (
    (
        "held_out_accuracy",
        "at_once",
        "Personal accuracy: held-out {picture}s of {kinds}, all {photo}s at once",
    ),
    ("held_out_accuracy", "one_by_one", "Personal accuracy, one task per {photo}"),
    ("first_confidence", "one_by_one", "First {picture}: probability of the base model’s label, one task per {photo}"),
    ("test_accuracy", "at_once", "Base accuracy: test {picture}s of the base model, all {photo}s at once"),
)


def render(report: Report, *, examples: bool = True) -> str:
    """The whole page as HTML. It asks nothing of the network: style, plots and pictures are inside.

    Without ``examples`` no row of the data is on it.
    """
    from markupsafe import Markup

    given = report.personalization
    words = words_for(report.noun)
    page: str = template("report/report.html.j2").render(
        report=report,
        words=words,
        photo=words.photo,
        picture=words.picture,
        style=Markup(text_of("report/report.css")),
        history=history_charts(report.history),
        snippet=update_snippet(report.input.name, report.label_feature, array=isinstance(report.input, ArrayInput)),
        fixed=_fixed_page(report.labels, report.fixed) if report.fixed else None,
        snapshots=[
            (one.title, None if one.pixels is None else data_uri(one.pixels, LARGE), one.accuracy)
            for one in report.snapshots
        ],
        owner=_owner_page(given, words, examples) if given else None,
        examples=examples,
        base=_base_page(report.base, report.labels, examples) if report.base else None,
    )
    return page


def _base_page(base: Base, labels: Sequence[str], examples: bool) -> Mapping[str, Any]:
    """The confusion matrix by row, precision and recall of each label, and the worst mistakes as pictures."""
    statistics = base.statistics
    return {
        "statistics": statistics,
        "confusion": list(zip(labels, statistics.confusion, strict=True)),
        "mistakes": [
            (data_uri(pixels), name, mistake)
            for pixels, name, mistake in zip(
                _with_channels(base.mistakes.pixels), base.mistakes.names, statistics.mistakes, strict=False
            )
        ]
        if examples
        else [],
    }


def _fixed_page(labels: Sequence[str], fixed: Fixed) -> Mapping[str, Any]:
    """Of each picture: data URIs of itself and both masks, or both pictures. Of each label: its color and share."""
    masks = fixed.masks
    if masks.are_pictures:
        each = zip(
            *(_with_channels(one.view(np.uint8)) for one in (masks.pixels, masks.source, masks.model)), strict=True
        )
        return {"pictures": True, "rows": [[data_uri(one, LARGE) for one in row] for row in each]}
    is_pixelwise = masks.source.shape == masks.pixels.shape[:3]
    counts = np.bincount(masks.model.ravel(), minlength=len(labels))
    return {
        "pictures": False,
        "rows": [
            (data_uri(pixels), mask_uri(source, fixed.colors), mask_uri(model, fixed.colors))
            for pixels, source, model in zip(_with_channels(masks.pixels), masks.source, masks.model, strict=True)
        ]
        if is_pixelwise
        else [],
        "legend": list(zip(labels, fixed.colors, counts / counts.sum() * is_pixelwise, strict=True)),
        "labels_seen": int((counts > 0).sum()),
    }


def _with_channels(pixels: UInt8Array) -> UInt8Array:
    """[n, height, width, channels], where a gray picture comes without."""
    return pixels if pixels.ndim == 4 else pixels[..., None]


def _owner_page(given: Personalization, words: Words, examples: bool) -> Mapping[str, Any]:
    """What the page shows of the comparison."""
    comparison = given.comparison
    lost, lost_count = lost_cards(given)
    return {
        "comparison": comparison,
        "kinds": owners_kinds(comparison),
        "each": " of each kind" if len(comparison.kinds) > 1 else "",
        "most": shots_of_each(comparison.shots[-1], comparison, words),
        "headline": headline(comparison),
        "story": story(comparison, words),
        "glance": _glance(comparison, words),
        "curves": [
            (text, learning_chart(comparison, field, text, words, way))
            for number, (field, way, text) in enumerate(
                (field, way, text.format(kinds=owners_kinds(comparison), **asdict(words)))
                for field, way, text in CURVES
            )
        ],
        "tables": [
            (name, way, getattr(outcome.summary, key))
            for key, way in (("at_once", f"all {words.photo}s at once"), ("one_by_one", f"one task per {words.photo}"))
            for name, outcome in comparison.outcomes()
        ],
        "owners": owners_cards(given) if examples else [],
        "base": base_cards(given) if examples else [],
        "lost": (lost if examples else [], lost_count),
        "forgetting": _forgetting(comparison),
        "new_label": [
            (new_label_sentence(name, outcome.new_label), outcome.new_label)
            for name, outcome in comparison.outcomes()
            if outcome.new_label is not None
        ],
    }


def _glance(comparison: Comparison, words: Words) -> list[tuple[str, list[str]]]:
    """The table at the top: a name, and a cell for each model."""
    both = [outcome for _, outcome in comparison.outcomes()]
    most = shots_of_each(comparison.shots[-1], comparison, words)

    photos = f"{words.photo.capitalize()}s"

    def cells(text: Any) -> list[str]:
        return [text(outcome) for outcome in both]

    return [
        (
            f"Personal accuracy ({owners_labels(comparison)} for {owners_kinds(comparison)}), before",
            cells(lambda one: _share(one, 0, comparison.held_out_rows)),
        ),
        (f"Personal accuracy, after {most}", cells(lambda one: _share(one, -1, comparison.held_out_rows))),
        ("Base accuracy, before", cells(lambda one: _base_share(one, 0, comparison.test_rows))),
        (f"Base accuracy, after {most}", cells(lambda one: _base_share(one, -1, comparison.test_rows))),
        (
            f"{photos} for a personal accuracy of {percent(ENOUGH)}, at once",
            cells(lambda one: _shots(one.summary.shots_needed_at_once)),
        ),
        (
            f"{photos} for a personal accuracy of {percent(ENOUGH)}, one by one",
            cells(lambda one: _shots(one.summary.shots_needed)),
        ),
        (f"One update with {most}", cells(lambda one: wording.milliseconds(one.summary.at_once[-1].update_ms.mean))),
        (f"Extractor, per {words.picture}", cells(lambda one: wording.milliseconds(one.extractor_ms))),
        (f"Growth of the file, {most}", cells(lambda one: _growth(one.summary.at_once[-1].growth_bytes.mean))),
        ("Reset restores the base", cells(lambda one: "yes" if _is_reset(one) else "no")),
    ]


def _forgetting(comparison: Comparison) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """By kind of the base: its label, and each model's accuracy before and after."""
    rows = []
    for kind, label in comparison.test_kinds.items():
        pairs = []
        for _, outcome in comparison.outcomes():
            first, last = outcome.summary.at_once[0], outcome.summary.at_once[-1]
            after = wording.percent_spread(last.test_accuracy_by_kind[kind])
            pairs.append((percent(first.test_accuracy_by_kind[kind].mean), after))
        rows.append((kind, label, pairs))
    return rows


def _share(outcome: Outcome, place: int, rows: int) -> str:
    return wording.mean_with_interval(outcome.summary.at_once[place].held_out_accuracy, rows)


def _base_share(outcome: Outcome, place: int, rows: int) -> str:
    return wording.mean_with_interval(outcome.summary.at_once[place].test_accuracy, rows)


def _shots(median: float | None) -> str:
    return "never" if median is None else f"{median:g}"


def _growth(size: float) -> str:
    return "none" if size == 0 else wording.byte_count(size)


def _is_reset(outcome: Outcome) -> bool:
    return outcome.reset.bytes_equal and outcome.reset.labels_equal
