"""report.html: one page that holds all it shows. Values in, text out; the caller writes it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import ArrayInput, UInt8Array
from coreml_updatable.machine import busy_note
from coreml_updatable.personalization.wording import Words, words_for
from coreml_updatable.publishing.chart import history_charts
from coreml_updatable.publishing.report.comparison import rows_of, shown
from coreml_updatable.publishing.report.gallery import base_cards, label_of_kind, lost_cards, owners_cards
from coreml_updatable.publishing.report.pictures import LARGE, data_uri, is_tiny, mask_uri
from coreml_updatable.publishing.report.story import headline, mistakes, owners_kinds, shots_of_each
from coreml_updatable.publishing.report.values import Base, Fixed, Personalization, Report
from coreml_updatable.publishing.swift import update_snippet
from coreml_updatable.publishing.templates import template, text_of


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
        style=Markup(text_of("report/report.css") + text_of("report/comparison.css")),
        history=history_charts(report.history),
        snippet=update_snippet(report.input.name, report.label_feature, array=isinstance(report.input, ArrayInput)),
        fixed=_fixed_page(report.labels, report.fixed) if report.fixed else None,
        snapshots=[
            (snapshot.title, None if snapshot.pixels is None else data_uri(snapshot.pixels, LARGE), snapshot.accuracy)
            for snapshot in report.snapshots
        ],
        owner=_owner_page(given, words, examples) if given else None,
        replay_rows=rows_of(report.replay.comparison) if report.replay else [],
        busy=busy_note(report.other_programs),
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
            (data_uri(pixels) if pixels.size else "", is_tiny(pixels), name, mistake)
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
            *(_with_channels(item.view(np.uint8)) for item in (masks.pixels, masks.source, masks.model)), strict=True
        )
        return {"pictures": True, "rows": [[data_uri(item, LARGE) for item in row] for row in each]}
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
    comparison, new = given.comparison, given.new_label
    lost, lost_count = lost_cards(given)
    return {
        **shown(comparison),
        "labels": label_of_kind(given, "owner"),
        "names": owners_kinds(comparison),
        "most": shots_of_each(comparison.shots[-1], comparison, words),
        "headline": headline(comparison),
        "mistakes": mistakes(comparison, words),
        "owners": owners_cards(given) if examples else [],
        "base": base_cards(given) if examples else [],
        "lost": (lost if examples else [], lost_count),
        "new_label": new,
        "new_rows": rows_of(new.comparison) if new is not None and new.comparison is not None else [],
    }
