"""The advice follows the numbers: each case with outcomes that differ in one point."""

import dataclasses

import pytest

from coreml_updatable.personalization.compare import advise
from coreml_updatable.personalization.results import (
    Measurement,
    NewLabel,
    NewLabelPoint,
    Outcome,
    Reset,
    SeedResult,
    Shot,
    Shown,
    summarize,
)


def outcome(learnt: tuple[float, float], kept: float, growth: int) -> Outcome:
    """Learnt shares after 1 and 2 photos; the base's accuracy after 2."""

    def at(photos: int, share: float, test: float) -> Measurement:
        personal, base = {"9": share}, {"7": test}
        answers = {"low": share}
        return Measurement(photos, share, personal, answers, test, base, 0.0, 0.0, "low", 0.5, 1.0, growth * photos)

    measured = (at(1, learnt[0], 1.0), at(2, learnt[1], kept))
    steps = tuple(Shot(number, False, 0.5, after) for number, after in enumerate(measured))
    seeds = (SeedResult(0, (0, 1), at(0, 0.0, 1.0), measured, steps, None),)
    shown = Shown((), (), (), ())
    return Outcome(seeds, summarize(seeds), shown, Reset(1, True, True, 0.0), None, 1.0, 1000)


GOOD, SLOWER, LOSSY = outcome((1, 1), 1, 0), outcome((0.5, 0.95), 1, 0), outcome((1, 1), 0.98, 0)


@pytest.mark.parametrize(
    ("network", "knn", "begins"),
    [
        (GOOD, outcome((0, 0.5), 1, 9), "The network suits this owner; the other does not."),
        (outcome((1, 1), 0.94, 0), GOOD, "The k-NN suits this owner; the other does not."),
        (
            outcome((0, 0.8), 1, 0),
            outcome((0, 0.5), 1, 9),
            "Neither model suits this owner as it is: neither reaches a personal accuracy of 90%",
        ),
        (
            SLOWER,
            GOOD,
            "Both models suit this owner, the k-NN better: in the median order it reaches 90% after 1 ",
        ),
        (
            GOOD,
            LOSSY,
            "Both models suit this owner, the network better: it needs no more photos and forgets less.",
        ),
        (
            GOOD,
            outcome((1, 1), 1, 9),
            "Both models suit this owner, the network better: it needs no more photos, forgets no",
        ),
        (GOOD, GOOD, "Both models suit this owner equally well."),
    ],
)
def test_the_choice(network: Outcome, knn: Outcome, begins: str) -> None:
    assert advise(["9"], 2, network, knn).startswith(begins)


def test_when_none_suits_the_numbers_say_why() -> None:
    said = advise(["9"], 2, outcome((0, 0.8), 1, 0), outcome((0, 0.85), 0.7, 9))
    assert "without losing more than 5 points of base accuracy. After one update with 2 photos" in said
    assert "the k-NN has a personal accuracy of 85%, its base accuracy is down by 30 points." in said


def test_only_who_learns_it_gets_the_new_label() -> None:
    refused = dataclasses.replace(GOOD, new_label=NewLabel("nine", "no", ()))
    learns = dataclasses.replace(GOOD, new_label=NewLabel("nine", None, (NewLabelPoint(2, 0.75, 1.0, 0.0, 9.0),)))
    ending = "Only the k-NN accepts a new label of the owner's (personal accuracy 75%)."
    assert advise(["9"], 2, refused, learns).endswith(ending)
    assert "label of" not in advise(["9"], 2, refused, refused)
    assert "label of" not in advise(["9"], 2, GOOD, GOOD)


def test_several_kinds_are_named() -> None:
    assert "After one update with 2 photos each of 8 and 9: " in advise(["8", "9"], 2, GOOD, GOOD)
