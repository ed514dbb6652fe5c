"""report.html: one page that holds all it shows. Values in, text out; the caller writes it."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from coreml_updatable.conversion import ArrayInput
from coreml_updatable.personalizing.results import Comparison, Outcome, Way
from coreml_updatable.personalizing.wording import counted, percent
from coreml_updatable.publishing import wording
from coreml_updatable.publishing.gallery import base_cards, lost_cards, owners_cards
from coreml_updatable.publishing.plots import history_plots, learning_plot
from coreml_updatable.publishing.report_data import Personalization, Report
from coreml_updatable.publishing.rewording import page_reworded
from coreml_updatable.publishing.slots_page import slots_page
from coreml_updatable.publishing.story import headline, new_label_sentence, outcomes, story
from coreml_updatable.publishing.swift import update_snippet

CURVES: tuple[tuple[str, Way, str], ...] = (
    ("held_out_accuracy", "at_once", "Other pictures of {kind} called {label}, all photos at once"),
    ("held_out_accuracy", "one_by_one", "The same, one task a photo"),
    ("first_confidence", "one_by_one", "The first picture: confidence in the base’s answer, one task a photo"),
    ("test_accuracy", "at_once", "The base’s own test pictures called rightly, all photos at once"),
)


def render(report: Report) -> str:
    """The whole page as HTML. It asks nothing of the network: style, plots and pictures are inside."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "percent": percent,
        "percent_spread": wording.percent_spread,
        "ms": wording.milliseconds,
        "bytes": lambda size: wording.byte_count(size).replace(" ", "\u00a0"),
        "tiny": wording.tiny,
        "prose": wording.typographic,
    }
    here = files("coreml_updatable.publishing")
    template = environment.from_string((here / "report.html.j2").read_text(encoding="utf-8"))
    given = report.personalization
    page: str = template.render(
        report=report,
        style=Markup((here / "report.css").read_text(encoding="utf-8")),
        history={title: Markup(svg) for title, svg in history_plots(report.history).items()},
        snippet=update_snippet(report.input.name, report.label_feature, array=isinstance(report.input, ArrayInput)),
        owner=_owner_page(given, Markup) if given else None,
        slots=slots_page(report.slots, Markup) if report.slots else None,
    )
    return page_reworded(page, report.noun)


def _owner_page(given: Personalization, markup: type) -> Mapping[str, Any]:
    """What the page shows of the comparison."""
    comparison = given.comparison
    return {
        "comparison": comparison,
        "headline": headline(comparison),
        "story": story(comparison),
        "glance": _glance(comparison),
        "curves": [
            (text, markup(learning_plot(comparison, field, way, f"curve-{number}", text)))
            for number, (field, way, text) in enumerate(
                (field, way, text.format(kind=comparison.kind, label=comparison.label)) for field, way, text in CURVES
            )
        ],
        "tables": [
            (name, way, getattr(outcome.summary, key))
            for key, way in (("at_once", "all photos at once"), ("one_by_one", "one task a photo"))
            for name, outcome in outcomes(comparison)
        ],
        "owners": owners_cards(given),
        "base": base_cards(given),
        "lost": lost_cards(given),
        "kept": _kept(comparison),
        "new_label": [
            (new_label_sentence(name, outcome.new_label, comparison), outcome.new_label)
            for name, outcome in outcomes(comparison)
            if outcome.new_label is not None
        ],
    }


def _glance(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """The table at the top: a name, and a cell for each model."""
    both = [outcome for _, outcome in outcomes(comparison)]
    most = counted(comparison.photos[-1], "photo")

    def cells(text: Any) -> list[str]:
        return [text(outcome) for outcome in both]

    return [
        (f"{comparison.kind} called {comparison.label}, before", cells(lambda one: _share(one, 0))),
        (f"{comparison.kind} called {comparison.label}, after {most}", cells(lambda one: _share(one, -1))),
        ("Base’s test pictures right, before", cells(lambda one: _kept_share(one, 0))),
        (f"Base’s test pictures right, after {most}", cells(lambda one: _kept_share(one, -1))),
        ("Photos until 90% are right, at once", cells(lambda one: _photos(one.summary.median_learnt_at_once))),
        ("Photos until 90% are right, one by one", cells(lambda one: _photos(one.summary.median_learnt))),
        ("Photos until the first picture turns", cells(lambda one: _photos(one.summary.median_flip))),
        (f"One update with {most}", cells(lambda one: wording.milliseconds(one.summary.at_once[-1].update_ms.mean))),
        ("Extractor, a picture", cells(lambda one: wording.milliseconds(one.extractor_ms))),
        (f"Growth of the file, {most}", cells(lambda one: _growth(one.summary.at_once[-1].growth_bytes.mean))),
        ("Back to the base after a reset", cells(lambda one: "yes" if _is_reset(one) else "no")),
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
