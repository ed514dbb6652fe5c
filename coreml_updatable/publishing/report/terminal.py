"""The report's short form for a terminal."""

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from coreml_updatable.personalization.results import Comparison
from coreml_updatable.personalization.slots_results import SlotsComparison
from coreml_updatable.personalization.wording import Words, counted, percent, words_for
from coreml_updatable.publishing.report.story import outcomes, reset_sentence
from coreml_updatable.publishing.report.values import Report
from coreml_updatable.publishing.wording import byte_count, milliseconds, percent_spread, tiny
from coreml_updatable.text import sentence, visible


def summary(report: Report) -> RenderableType:
    """Files, proof, comparison and advice; print it with a rich console."""
    words = words_for(report.noun)
    parts: list[RenderableType] = [_files(report), Text(sentence(_proof(report, words)))]
    if report.personalization:
        comparison = report.personalization.comparison
        parts += [_learning(comparison, words), Text(sentence(reset_sentence(comparison, words)))]
        parts.append(Text(sentence(comparison.advice), style="bold"))
    if report.slots:
        parts += [_slots(report.slots.comparison, words)]
    if report.data.origin == "drawn":
        said = "The pictures were drawn by a program; no photo was used."
        said = f"The {report.noun}s were made by a program." if report.noun else said
        parts.append(Text(sentence(said), style="italic"))
    if "warning" in report.source:
        parts.append(Text(sentence(str(report.source["warning"])), style="bold red"))
    return Group(*parts)


def _files(report: Report) -> Table:
    table = Table("Model", "Size", "Learns", title=Text(visible(report.name)), title_justify="left")
    table.columns[1].justify = "right"
    for model in report.models:
        learns = model.summary or ", ".join(model.updatable)
        table.add_row(Text(visible(model.file)), byte_count(model.bytes), Text(sentence(learns)))
    return table


def _proof(report: Report, words: Words) -> str:
    proof = report.proof
    return (
        f"Agrees with its source on {proof.labels_equal} of {proof.pictures} held-out {words.picture}s "
        f"(probabilities within {tiny(proof.max_probability_difference)}); {proof.rules} rules checked, "
        f"{counted(len(proof.problems), 'warning')}."
    )


def _learning(comparison: Comparison, words: Words) -> Table:
    """A row for each number of photos at once; the share of other pictures of the kind with the owner's label."""
    table = Table(
        Column(Text(visible(f"{words.photo.capitalize()}s"))),
        title=Text(sentence(f"{comparison.kind} called {comparison.label}: personal and base accuracy")),
        title_justify="left",
    )
    for name, _ in outcomes(comparison):
        for column in (name, "base accuracy", "update"):
            table.add_column(column, justify="right")
    for number in range(1 + len(comparison.photos)):
        cells = []
        for _, outcome in outcomes(comparison):
            point = outcome.summary.at_once[number]
            time = milliseconds(point.update_ms.mean) if point.photos else ""
            cells += [percent_spread(point.held_out_accuracy), percent(point.test_accuracy.mean), time]
        table.add_row(str(comparison.photos[number - 1] if number else 0), *cells)
    return table


def _slots(slots: SlotsComparison, words: Words) -> Table:
    """A row for each number of photos of each new kind."""
    title = f"{', '.join(slots.kinds)} in reserved labels, by {words.photo}s of each: personal and base accuracy"
    table = Table(
        Column(Text(visible(f"{words.photo.capitalize()}s"))), title=Text(sentence(title)), title_justify="left"
    )
    both = (("network", slots.network), ("k-NN", slots.knn))
    for name, _ in both:
        for column in (name, "base accuracy", "update"):
            table.add_column(column, justify="right")
    for number in range(1 + len(slots.photos)):
        cells = []
        for _, outcome in both:
            point = outcome.points[number]
            time = milliseconds(point.update_ms) if point.photos else ""
            cells += [percent_spread(point.right), percent(point.kept.mean), time]
        table.add_row(str(slots.network.points[number].photos), *cells)
    return table
