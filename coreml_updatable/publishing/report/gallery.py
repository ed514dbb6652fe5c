"""Pictures beside the answers before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coreml_updatable.data.inputs import Examples
from coreml_updatable.publishing.report.pictures import data_uri, evenly, is_tiny
from coreml_updatable.publishing.report.values import Answer, Personalization
from coreml_updatable.publishing.wording import brief

OWNERS, OWNERS_PER_KIND, PER_KIND, LOST = 8, 4, 2, 4  # how many pictures are shown of each


@dataclass(frozen=True)
class AnswerChange:
    """One model's answer to one picture, before and after an update; ``is_right`` None where nobody says what is."""

    model: str
    before: str
    after: str
    is_right: bool | None = None


@dataclass(frozen=True)
class Card:
    """A picture, and both models' answers; ``uri`` is empty where a picture of the row would tell nothing."""

    uri: str
    tiny: bool
    changes: tuple[AnswerChange, ...]
    kind: str = ""
    name: str = ""
    wanted: str = ""  # what it should be called


def owners_cards(given: Personalization) -> list[Card]:
    """Held-out pictures of the owner's kinds, evenly spaced within each; right is what the owner says."""
    per_kind = OWNERS if len(set(given.held_out.kinds)) == 1 else OWNERS_PER_KIND
    labels = label_of_kind(given, "owner")
    shown = _some_of_each(given.held_out.kinds, per_kind)
    return [
        _card(given.held_out, row, labels, [(item.model, *item.held_out[row]) for item in given.shown]) for row in shown
    ]


def base_cards(given: Personalization) -> list[Card]:
    """Test pictures of the base's kinds, evenly spaced within each; right is the base's label."""
    return [_test_card(given, row) for row in _some_of_each(given.test.kinds, PER_KIND)]


def _some_of_each(kinds: Sequence[str], wanted: int) -> list[int]:
    shown = []
    for kind in dict.fromkeys(kinds):
        members = [index for index, own in enumerate(kinds) if own == kind]
        shown += [members[place] for place in evenly(len(members), wanted)]
    return shown


def lost_cards(given: Personalization) -> tuple[list[Card], int]:
    """Test pictures that a model had right before and wrong after: the first few, and how many there are."""
    labels, lost = label_of_kind(given, "base"), []
    for row, kind in enumerate(given.test.kinds):
        if any(
            before.label == labels[kind] != after.label for before, after in (item.test[row] for item in given.shown)
        ):
            lost.append(row)
    return [_test_card(given, row) for row in lost[:LOST]], len(lost)


def label_of_kind(given: Personalization, tested: str) -> Mapping[str, str]:
    """The label of each kind that the base, or the owner, is tested on."""
    return {kind.kind: kind.label for kind in given.comparison.entrants[0].kinds if kind.tested == tested}


def _test_card(given: Personalization, row: int) -> Card:
    answers = [(item.model, *item.test[row]) for item in given.shown]
    return _card(given.test, row, label_of_kind(given, "base"), answers)


def _card(
    pictures: Examples, index: int, labels: Mapping[str, str], answers: Sequence[tuple[str, Answer, Answer]]
) -> Card:
    pixels, kind = pictures.pixels[index], pictures.kinds[index]
    wanted = labels[kind]
    changes = tuple(
        AnswerChange(model, _said(before), _said(after), after.label == wanted) for model, before, after in answers
    )
    return Card(data_uri(pixels) if pixels.size else "", is_tiny(pixels), changes, kind, pictures.names[index], wanted)


def _said(answer: Answer) -> str:
    return f"{answer.label} {brief(answer.confidence)}"
