"""Sentences say what the numbers say, also when the story does not come off."""

import dataclasses
import re
from collections.abc import Callable

import pytest

from coreml_updatable.personalization.results import Comparison, Reset
from coreml_updatable.publishing.report.story import headline, new_label_sentence, reset_sentence, story

MakeComparison = Callable[[float, float], Comparison]


def text_of(comparison: Comparison) -> str:
    return " ".join(sentence for chapter in story(comparison) for sentence in chapter.sentences)


def test_headline_names_the_shares(make_comparison: MakeComparison) -> None:
    said = headline(make_comparison(0.12, 0.4))
    assert "The network calls 100% of the owner's pancakes “fast-food”." in said
    assert "(network) and 100% (k-NN)." in said
    assert said.endswith("Base accuracy: 100% → 99% (network) and 100% → 99% (k-NN).")


def test_a_kind_that_is_a_number_is_no_part_of_the_share_beside_it(make_comparison: MakeComparison) -> None:
    comparison = make_comparison(0.12, 0.4)
    kinds = list(comparison.network.summary.at_once[0].test_accuracy_by_kind)
    assert kinds
    said = text_of(comparison)
    assert all(re.search(rf"[(,] ?{kind}: [\d.]+% → [\d.]+%", said) for kind in kinds)


def test_a_model_that_never_learns_is_said_to(make_comparison: MakeComparison) -> None:
    said = text_of(make_comparison(0.0, 0.4))
    assert "the network predicts “healthy” for 0% of the held-out pictures, and still calls 100% “fast-food”" in said
    assert "never reaches an accuracy of 90%" in said
    assert "Its answer turns to “healthy” in 0 of 3 orders." in said


def test_median_of_the_flips_is_that_of_the_seeds(make_comparison: MakeComparison) -> None:
    comparison = make_comparison(0.12, 0.4)
    flips = sorted(seed.flipped_after or 99 for seed in comparison.network.seeds)
    assert f"after {flips[1]} photos (median)" in text_of(comparison)


def test_a_failed_reset_is_not_hidden(make_comparison: MakeComparison) -> None:
    comparison = make_comparison(0.12, 0.4)
    broken = dataclasses.replace(comparison.knn, reset=Reset(12, True, False, 0.3))
    comparison = dataclasses.replace(comparison, knn=broken)
    assert reset_sentence(comparison) == (
        "The reset failed: after the updates the base of the k-NN is no longer what it was."
    )


def test_a_reset_within_rounding_names_the_difference(make_comparison: MakeComparison) -> None:
    comparison = make_comparison(0.12, 0.4)
    close = dataclasses.replace(comparison.network, reset=Reset(12, True, True, 2e-7))
    assert reset_sentence(dataclasses.replace(comparison, network=close)).endswith("probabilities within 2e-07.")


@pytest.mark.parametrize("number", [0, 1])
def test_the_third_label(make_comparison: MakeComparison, number: int) -> None:
    comparison = make_comparison(0.12, 0.4)
    name, outcome = comparison.outcomes()[number]
    assert outcome.new_label is not None
    said = new_label_sentence(name, outcome.new_label, comparison)
    expected = (
        "The network cannot learn it.",
        "The k-NN accepts it: after 10 photos it calls 100% of the held-out",
    )
    assert said.startswith(expected[number])
