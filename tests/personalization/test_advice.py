"""The advice follows the numbers: each case with outcomes that differ in one point."""

import dataclasses
import re

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
    """Learned shares after 1 and 2 photos; the base's accuracy after 2."""

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
        (GOOD, outcome((0, 0.5), 1, 9), "The network suits this owner; the other model does not."),
        (outcome((1, 1), 0.94, 0), GOOD, "The k-NN suits this owner; the other model does not."),
        (
            outcome((0, 0.8), 1, 0),
            outcome((0, 0.5), 1, 9),
            "Neither model suits this owner.",
        ),
        (
            SLOWER,
            GOOD,
            "Both models suit this owner, the k-NN better: it needs fewer photos.",
        ),
        (
            GOOD,
            LOSSY,
            "Both models suit this owner, the network better: it needs as many photos and forgets less.",
        ),
        (
            GOOD,
            outcome((1, 1), 1, 9),
            "Both models suit this owner, the network better: it needs as many photos and forgets as much, but its "
            "file",
        ),
        (GOOD, GOOD, "Both models suit this owner equally well."),
    ],
)
def test_the_choice(network: Outcome, knn: Outcome, begins: str) -> None:
    assert advise(["9"], 2, network, knn).startswith(begins)


def test_it_says_when_a_model_suits_and_leaves_the_figures_to_the_tables() -> None:
    said = advise(["9"], 2, outcome((0, 0.83), 1, 0), outcome((0, 0.87), 0.71, 9))
    assert "2 photos of 9" in said
    assert set(re.findall(r"\d+%|\d+ points", said)) == {"90%", "5 points"}


def test_only_who_learns_it_gets_the_new_label() -> None:
    refused = dataclasses.replace(GOOD, new_label=NewLabel("nine", "no", ()))
    learns = dataclasses.replace(GOOD, new_label=NewLabel("nine", None, (NewLabelPoint(2, 0.75, 1.0, 0.0, 9.0),)))
    ending = "Only the k-NN accepts a new label from the owner."
    assert advise(["9"], 2, refused, learns).endswith(ending)
    assert "new label" not in advise(["9"], 2, refused, refused)
    assert "new label" not in advise(["9"], 2, GOOD, GOOD)


def test_several_kinds_are_named() -> None:
    assert "after one update with 2 photos each of 8 and 9" in advise(["8", "9"], 2, GOOD, GOOD)
