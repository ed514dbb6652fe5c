"""What the report shows of new kinds in open slots."""

from collections.abc import Mapping, Sequence
from typing import Any

from coreml_updatable.personalization.slots_results import SlotsComparison, SlotsOutcome
from coreml_updatable.personalization.summary import LEARNT
from coreml_updatable.personalization.wording import OF_PHOTOS, Words, counted, listed, percent
from coreml_updatable.publishing.report.gallery import Card, card
from coreml_updatable.publishing.report.pictures import evenly
from coreml_updatable.publishing.report.plots import slots_plot
from coreml_updatable.publishing.report.values import Slots

SHOWN = 4  # pictures of each new kind
CURVES = (
    ("right", "Personal accuracy: held-out {picture}s of the new kinds"),
    ("kept", "Base accuracy: the base’s test {picture}s"),
)


def slots_page(given: Slots, words: Words, markup: type) -> Mapping[str, Any]:
    comparison = given.comparison
    return {
        "comparison": comparison,
        "models": models(comparison),
        "sentences": slots_sentences(comparison, words),
        "curves": [
            (title, markup(slots_plot(comparison, field, f"slots-{number}", title, words)))
            for number, (field, title) in enumerate(slots_titles(words))
        ],
        "cards": _cards(given),
    }


def slots_titles(words: Words) -> list[tuple[str, str]]:
    """A field of ``SlotsPoint``, and what its curve shows."""
    return [(field, text.format(picture=words.picture)) for field, text in CURVES]


def models(comparison: SlotsComparison) -> tuple[tuple[str, SlotsOutcome], ...]:
    return ("network", comparison.network), ("k-NN", comparison.knn)


def slots_sentences(comparison: SlotsComparison, words: Words = OF_PHOTOS) -> list[str]:
    """Read off the numbers."""
    said = []
    for name, outcome in models(comparison):
        first, last = outcome.points[0], outcome.points[-1]
        most = sorted(first.held_out_answers.items(), key=lambda item: (-item[1], item[0]))[0]
        needed = outcome.photos_needed()
        enough = (
            "none of these numbers is enough"
            if needed is None
            else f"{counted(needed, words.photo)} of each are enough"
        )
        steps = listed([f"{percent(point.right.mean)} after {point.photos}" for point in outcome.points[1:]])
        said.append(
            f"Before, the {name} calls {percent(most[1])} of the {words.picture}s “{most[0]}”. After one update "
            f"with a few {words.photo}s of each, its personal accuracy is {steps}; {enough} for {percent(LEARNT)}. "
            f"Base accuracy goes from {percent(first.kept.mean)} to {percent(last.kept.mean)}; the model then gives "
            f"{percent(last.called_new)} of the base's test {words.picture}s the label of a new kind."
        )
    return said


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
