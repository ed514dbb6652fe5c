"""report.html: one page that holds all it shows. Values in, text out; the caller writes it."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.personalization.results import Comparison, Outcome, Way
from coreml_updatable.personalization.summary import LEARNT
from coreml_updatable.personalization.wording import Words, counted, percent, words_for
from coreml_updatable.publishing import wording
from coreml_updatable.publishing.report.gallery import base_cards, lost_cards, owners_cards
from coreml_updatable.publishing.report.plots import history_plots, learning_plot
from coreml_updatable.publishing.report.slots import slots_page
from coreml_updatable.publishing.report.story import headline, new_label_sentence, outcomes, story
from coreml_updatable.publishing.report.values import Personalization, Report
from coreml_updatable.publishing.swift import update_snippet
from coreml_updatable.text import on_page

CURVES: tuple[tuple[str, Way, str], ...] = (
    (
        "held_out_accuracy",
        "at_once",
        "Personal accuracy: other {picture}s of {kind} called {label}, all {photo}s at once",
    ),
    ("held_out_accuracy", "one_by_one", "Personal accuracy, one task per {photo}"),
    ("first_confidence", "one_by_one", "The first {picture}: probability of the base’s label, one task per {photo}"),
    ("test_accuracy", "at_once", "Base accuracy: the base’s test {picture}s, all {photo}s at once"),
)


def render(report: Report) -> str:
    """The whole page as HTML. It asks nothing of the network: style, plots and pictures are inside."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, finalize=on_page, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": percent,
        "percent_spread": wording.percent_spread,
        "ms": wording.milliseconds,
        "bytes": lambda size: wording.byte_count(size).replace(" ", "\u00a0"),
        "tiny": wording.tiny,
        "prose": wording.typographic,
    }
    here = files("coreml_updatable.publishing.report")
    template = environment.from_string((here / "report.html.j2").read_text(encoding="utf-8"))
    given = report.personalization
    words = words_for(report.noun)
    page: str = template.render(
        report=report,
        photo=words.photo,
        picture=words.picture,
        style=Markup((here / "report.css").read_text(encoding="utf-8")),
        history={title: Markup(svg) for title, svg in history_plots(report.history).items()},
        snippet=update_snippet(report.input.name, report.label_feature, array=isinstance(report.input, ArrayInput)),
        owner=_owner_page(given, words, Markup) if given else None,
        slots=slots_page(report.slots, words, Markup) if report.slots else None,
    )
    return page


def _owner_page(given: Personalization, words: Words, markup: type) -> Mapping[str, Any]:
    """What the page shows of the comparison."""
    comparison = given.comparison
    return {
        "comparison": comparison,
        "headline": headline(comparison, words),
        "story": story(comparison, words),
        "glance": _glance(comparison, words),
        "curves": [
            (text, markup(learning_plot(comparison, field, way, f"curve-{number}", text, words)))
            for number, (field, way, text) in enumerate(
                (field, way, text.format(kind=comparison.kind, label=comparison.label, **asdict(words)))
                for field, way, text in CURVES
            )
        ],
        "tables": [
            (name, way, getattr(outcome.summary, key))
            for key, way in (("at_once", f"all {words.photo}s at once"), ("one_by_one", f"one task per {words.photo}"))
            for name, outcome in outcomes(comparison)
        ],
        "owners": owners_cards(given),
        "base": base_cards(given),
        "lost": lost_cards(given),
        "kept": _kept(comparison),
        "new_label": [
            (new_label_sentence(name, outcome.new_label, comparison, words), outcome.new_label)
            for name, outcome in outcomes(comparison)
            if outcome.new_label is not None
        ],
    }


def _glance(comparison: Comparison, words: Words) -> list[tuple[str, list[str]]]:
    """The table at the top: a name, and a cell for each model."""
    both = [outcome for _, outcome in outcomes(comparison)]
    most = counted(comparison.photos[-1], words.photo)

    photos = f"{words.photo.capitalize()}s"

    def cells(text: Any) -> list[str]:
        return [text(outcome) for outcome in both]

    return [
        (f"Personal accuracy ({comparison.kind} called {comparison.label}), before", cells(lambda one: _share(one, 0))),
        (f"Personal accuracy, after {most}", cells(lambda one: _share(one, -1))),
        ("Base accuracy, before", cells(lambda one: _kept_share(one, 0))),
        (f"Base accuracy, after {most}", cells(lambda one: _kept_share(one, -1))),
        (
            f"{photos} to reach a personal accuracy of {percent(LEARNT)}, at once",
            cells(lambda one: _photos(one.summary.median_learnt_at_once)),
        ),
        (
            f"{photos} to reach {percent(LEARNT)}, one by one",
            cells(lambda one: _photos(one.summary.median_learnt)),
        ),
        (
            f"{photos} until the prediction for the first {words.picture} changes",
            cells(lambda one: _photos(one.summary.median_flip)),
        ),
        (f"One update with {most}", cells(lambda one: wording.milliseconds(one.summary.at_once[-1].update_ms.mean))),
        (f"Extractor, a {words.picture}", cells(lambda one: wording.milliseconds(one.extractor_ms))),
        (f"Growth of the file, {most}", cells(lambda one: _growth(one.summary.at_once[-1].growth_bytes.mean))),
        ("Reset restores the base", cells(lambda one: "yes" if _is_reset(one) else "no")),
    ]


def _kept(comparison: Comparison) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """By kind of the base: its label, and each model's accuracy before and after."""
    rows = []
    for kind, label in comparison.test_kinds.items():
        pairs = []
        for _, outcome in outcomes(comparison):
            first, last = outcome.summary.at_once[0], outcome.summary.at_once[-1]
            after = wording.percent_spread(last.test_accuracy_by_kind[kind])
            pairs.append((percent(first.test_accuracy_by_kind[kind].mean), after))
        rows.append((kind, label, pairs))
    return rows


def _share(outcome: Outcome, place: int) -> str:
    return wording.percent_spread(outcome.summary.at_once[place].held_out_accuracy)


def _kept_share(outcome: Outcome, place: int) -> str:
    return wording.percent_spread(outcome.summary.at_once[place].test_accuracy)


def _photos(median: float | None) -> str:
    return "never" if median is None else f"{median:g}"


def _growth(size: float) -> str:
    return "none" if size == 0 else wording.byte_count(size)


def _is_reset(outcome: Outcome) -> bool:
    return outcome.reset.bytes_equal and outcome.reset.labels_equal
