"""Pictures beside the answers before and after."""

from collections.abc import Sequence
from dataclasses import dataclass

from coreml_updatable.data.inputs import Examples
from coreml_updatable.personalization.results import Answer, Shown
from coreml_updatable.publishing.report.pictures import data_uri, evenly, is_tiny
from coreml_updatable.publishing.report.values import Personalization
from coreml_updatable.publishing.wording import brief

OWNERS, PER_KIND, LOST = 8, 2, 4  # how many pictures are shown of each


@dataclass(frozen=True)
class Change:
    """One model's answer to one picture, before and after."""

    model: str
    before: str
    after: str
    was_right: bool
    is_right: bool


@dataclass(frozen=True)
class Card:
    """A picture, its name, what it should be called, and both models' answers."""

    uri: str
    tiny: bool
    kind: str
    name: str
    wanted: str
    changes: tuple[Change, ...]


def owners_cards(given: Personalization) -> list[Card]:
    """Held-out pictures of the owner's kind, evenly spaced; right is what the owner says."""
    comparison = given.comparison
    return [
        card(
            given.held_out,
            index,
            comparison.label,
            [
                ("network", _pair(comparison.network.shown, "held_out", index)),
                ("k-NN", _pair(comparison.knn.shown, "held_out", index)),
            ],
        )
        for index in evenly(len(given.held_out), OWNERS)
    ]


def base_cards(given: Personalization) -> list[Card]:
    """Test pictures of the base's kinds, evenly spaced within each; right is the base's label."""
    kinds = given.test.kinds
    chosen = []
    for kind in dict.fromkeys(kinds):
        members = [index for index, of in enumerate(kinds) if of == kind]
        chosen += [members[place] for place in evenly(len(members), PER_KIND)]
    return [_test_card(given, index) for index in chosen]


def lost_cards(given: Personalization) -> tuple[list[Card], int]:
    """Test pictures that a model called rightly before and wrongly after: the first few, and how many there are."""
    comparison = given.comparison
    lost = []
    for index, kind in enumerate(given.test.kinds):
        wanted = comparison.test_kinds[kind]
        pairs = [_pair(one.shown, "test", index) for one in (comparison.network, comparison.knn)]
        if any(before.label == wanted != after.label for before, after in pairs):
            lost.append(index)
    return [_test_card(given, index) for index in lost[:LOST]], len(lost)


def _test_card(given: Personalization, index: int) -> Card:
    comparison = given.comparison
    wanted = comparison.test_kinds[given.test.kinds[index]]
    models = [
        ("network", _pair(comparison.network.shown, "test", index)),
        ("k-NN", _pair(comparison.knn.shown, "test", index)),
    ]
    return card(given.test, index, wanted, models)


def _pair(shown: Shown, group: str, index: int) -> tuple[Answer, Answer]:
    if group == "held_out":
        return shown.held_out_before[index], shown.held_out_after[index]
    return shown.test_before[index], shown.test_after[index]


def card(pictures: Examples, index: int, wanted: str, models: Sequence[tuple[str, tuple[Answer, Answer]]]) -> Card:
    pixels = pictures.pixels[index]
    changes = [
        Change(model, _said(before), _said(after), before.label == wanted, after.label == wanted)
        for model, (before, after) in models
    ]
    return Card(data_uri(pixels), is_tiny(pixels), pictures.kinds[index], pictures.names[index], wanted, tuple(changes))


def _said(answer: Answer) -> str:
    return f"{answer.label} {brief(answer.confidence)}"
