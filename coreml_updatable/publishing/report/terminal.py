"""The report's short form for a terminal."""

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from coreml_updatable.personalization.results import Comparison
from coreml_updatable.personalization.statistics import SURE
from coreml_updatable.personalization.wording import Words, counted, percent, words_for
from coreml_updatable.publishing.report.story import owners_kinds, owners_labels
from coreml_updatable.publishing.report.values import Base, Report
from coreml_updatable.publishing.wording import byte_count, mean_with_interval, tiny, with_interval
from coreml_updatable.text import sentence, visible


def summary(report: Report) -> RenderableType:
    """Files, proof, comparison and advice; print it with a rich console."""
    words = words_for(report.noun)
    parts: list[RenderableType] = [_files(report), Text(sentence(_proof(report, words)))]
    if report.base:
        parts += [Text(sentence(line)) for line in _base(report.base, words)]
    if report.personalization:
        comparison = report.personalization.comparison
        parts += [_learning(comparison, words), Text(sentence(" ".join(comparison.conclusions)), style="bold")]
    if report.replay:
        parts.append(Text(sentence(report.replay.sentence(words))))
    if report.fixed:
        parts.append(Text(sentence(f"It is not updatable: {report.fixed.why}"), style="bold"))
        parts.append(Text(sentence(f"`coreml-updatable mark` reports: {report.fixed.marking_says}")))
    if report.data and report.data.origin == "drawn":
        said = "The pictures were drawn by a program; no photos were used."
        said = f"The {report.noun}s were made by a program." if report.noun else said
        parts.append(Text(sentence(said), style="italic"))
    if "warning" in report.source:
        parts.append(Text(sentence(str(report.source["warning"])), style="bold red"))
    return Group(*parts)


def _files(report: Report) -> Table:
    table = Table("Model", "Size", "Updatable", title=Text(visible(report.name)), title_justify="left")
    table.columns[1].justify = "right"
    for model in report.models:
        learns = model.summary or ", ".join(model.updatable) or "nothing"
        table.add_row(Text(visible(model.file)), byte_count(model.bytes), Text(sentence(learns)))
    return table


def _proof(report: Report, words: Words) -> str:
    proof = report.proof
    agrees = f"{proof.labels_equal} of {proof.pictures} {words.picture}s (probabilities within "
    if report.fixed:
        share = percent(proof.labels_equal / proof.places)
        of = "pictures" if report.fixed.masks.are_pictures else "random pictures"
        agrees = f"{share} of the places of {proof.pictures} {of} (relative to the range of its scores, within "
    return (
        f"Agrees with its source on {agrees}{tiny(proof.max_difference)}); {proof.rules} rules checked, "
        f"{counted(len(proof.problems), 'warning')}."
    )


def _base(base: Base, words: Words) -> list[str]:
    """The base accuracy, the examples that are most surely called something else, and what to do next."""
    result = base.statistics
    how = f", cross-validated in {result.folds} folds" if result.folds else f" on held-out {words.picture}s"
    share = with_interval(result.accuracy).replace("\u00a0", " ")
    lines = [f"Base accuracy of the network{how}: {share}; in parentheses the 95% interval."]
    named = [
        f"{name} ({mistake.label}, called {mistake.called} {percent(mistake.confidence)})"
        for name, mistake in zip(base.mistakes.names, result.mistakes, strict=False)
        if mistake.confidence >= SURE
    ]
    lines += [f"Next: {item}" for item in result.advice]
    return lines + ([f"The surest mistakes: {', '.join(named[:5])}"] if named else [])


def _learning(comparison: Comparison, words: Words) -> Table:
    """A row for each number of shots in one update and each contender: a column of its own breaks a long name."""
    each = f", by {words.photo}s of each" if comparison.kinds_per_owner > 1 else ""
    title = f"{owners_kinds(comparison)} labeled {owners_labels(comparison)}{each}: personal and base accuracy"
    table = Table(
        Column(Text(visible(f"{words.photo.capitalize()}s"))),
        Column("model", no_wrap=True),
        Column("personal accuracy", justify="right"),
        Column("base accuracy", justify="right"),
        title=Text(sentence(title)),
        title_justify="left",
    )
    for shots in comparison.shots:
        for place, entrant in enumerate(comparison.entrants):
            intervals = entrant.last(shots).intervals
            personal = mean_with_interval(intervals["personal_accuracy"], comparison.held_out_rows)
            table.add_row(
                "" if place else str(shots),
                Text(visible(entrant.name)),
                personal.replace("\u00a0", " "),
                percent(intervals["base_accuracy"].mean),
                end_section=entrant is comparison.entrants[-1],
            )
    return table
