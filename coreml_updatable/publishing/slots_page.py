"""What the report shows of new kinds in open slots."""

from collections.abc import Mapping, Sequence
from typing import Any

from coreml_updatable.personalizing.slots_results import SlotsComparison, SlotsOutcome
from coreml_updatable.personalizing.wording import counted, listed, percent
from coreml_updatable.publishing.gallery import Card, card
from coreml_updatable.publishing.pictures import evenly
from coreml_updatable.publishing.plots import Line, share_plot
from coreml_updatable.publishing.report_data import Slots

SHOWN = 4  # pictures of each new kind
CURVES = (
    ("right", "Other pictures of the new kinds that get their own label"),
    ("kept", "The base’s own test pictures called rightly"),
)


def slots_page(given: Slots, markup: type) -> Mapping[str, Any]:
    comparison = given.comparison
    return {
        "comparison": comparison,
        "models": models(comparison),
        "sentences": slots_sentences(comparison),
        "curves": [
            (text, markup(_curve(comparison, field, f"slots-{number}", text)))
            for number, (field, text) in enumerate(CURVES)
        ],
        "cards": _cards(given),
    }


def models(comparison: SlotsComparison) -> tuple[tuple[str, SlotsOutcome], ...]:
    return ("network", comparison.network), ("k-NN twin", comparison.knn)


def slots_sentences(comparison: SlotsComparison) -> list[str]:
    """Read off the numbers."""
    said = []
    for name, outcome in models(comparison):
        first, last = outcome.points[0], outcome.points[-1]
        most = sorted(first.held_out_answers.items(), key=lambda item: (-item[1], item[0]))[0]
        needed = outcome.photos_needed()
        enough = "none of these numbers suffices" if needed is None else f"{counted(needed, 'photo')} of each suffice"
        steps = listed([f"{percent(point.right.mean)} after {point.photos}" for point in outcome.points[1:]])
        said.append(
            f"Before, the {name} calls {percent(most[1])} of the pictures “{most[0]}”. Taught a few photos of each in "
            f"one update, it knows {steps}; {enough} for 90%. Of the base's test pictures, {percent(first.kept.mean)} "
            f"were right before and {percent(last.kept.mean)} are after the most photos; {percent(last.called_new)} of "
            "them are then called by a new kind's label."
        )
    return said


def _curve(comparison: SlotsComparison, field: str, name: str, title: str) -> str:
    lines = [
        Line(tuple(float(at.photos) for at in one.points), tuple(getattr(at, field) for at in one.points))
        for _, one in models(comparison)
    ]
    return share_plot(lines, name, title, "photos of each new kind", (0, *comparison.photos))


def _cards(given: Slots) -> list[Card]:
    comparison = given.comparison
    return [
        card(
            given.held_out,
            index,
            comparison.held_out_labels[index],
            [
                ("network", (comparison.network.before[index], comparison.network.after[index])),
                ("k-NN", (comparison.knn.before[index], comparison.knn.after[index])),
            ],
        )
        for index in _some_of_each(given.held_out.kinds)
    ]


def _some_of_each(kinds: Sequence[str]) -> list[int]:
    """Evenly spaced within each kind."""
    shown = []
    for kind in dict.fromkeys(kinds):
        members = [index for index, of in enumerate(kinds) if of == kind]
        shown += [members[place] for place in evenly(len(members), SHOWN)]
    return shown
