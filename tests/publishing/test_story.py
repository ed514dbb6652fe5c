"""Sentences say what the numbers say, also when the story does not come off."""

import dataclasses
from collections.abc import Callable

import pytest

from coreml_updatable.personalization.results import Comparison, Reset
from coreml_updatable.personalization.wording import percent
from coreml_updatable.publishing.report.story import headline, new_label_sentence, reset_sentence, story

MakeComparison = Callable[[float, float], Comparison]


def text_of(comparison: Comparison) -> str:
    return " ".join(sentence for chapter in story(comparison) for sentence in chapter.sentences)


def test_the_headline_names_what_the_base_takes_them_for(make_comparison: MakeComparison) -> None:
    said = headline(make_comparison(0.12, 0.4))
    assert "pancakes" in said
    assert "“fast-food”" in said


def test_no_sentence_repeats_a_figure_of_the_tables(make_comparison: MakeComparison) -> None:
    """Personal accuracy, base accuracy and forgetting by kind stand in tables."""
    comparison = make_comparison(0.12, 0.4)
    last = comparison.network.summary.at_once[-1]
    said = text_of(comparison)
    assert percent(last.test_accuracy.mean) not in said
    assert not [kind for kind in last.test_accuracy_by_kind if f"{kind}: " in said]


def test_a_model_that_never_learns_is_said_to(make_comparison: MakeComparison) -> None:
    said = text_of(make_comparison(0.0, 0.4))
    assert "The network still predicts “fast-food” for 100% of the held-out pictures." in said
    assert "“healthy” in 0 of 3 orders." in said


def test_median_of_the_flips_is_that_of_the_seeds(make_comparison: MakeComparison) -> None:
    comparison = make_comparison(0.12, 0.4)
    flips = sorted(seed.flipped_after or 99 for seed in comparison.network.seeds)
    assert f"after {flips[1]} photos (median)" in text_of(comparison)


def test_a_failed_reset_is_not_hidden(make_comparison: MakeComparison) -> None:
    comparison = make_comparison(0.12, 0.4)
    broken = dataclasses.replace(comparison.knn, reset=Reset(12, True, False, 0.3))
    comparison = dataclasses.replace(comparison, knn=broken)
    said = reset_sentence(comparison)
    assert "failed" in said
    assert "k-NN" in said
    assert "network" not in said


def test_a_reset_within_rounding_names_the_difference(make_comparison: MakeComparison) -> None:
    comparison = make_comparison(0.12, 0.4)
    close = dataclasses.replace(comparison.network, reset=Reset(12, True, True, 2e-7))
    assert reset_sentence(dataclasses.replace(comparison, network=close)).endswith("probabilities within 2e-07.")


@pytest.mark.parametrize("number", [0, 1])
def test_the_third_label(make_comparison: MakeComparison, number: int) -> None:
    comparison = make_comparison(0.12, 0.4)
    name, outcome = comparison.outcomes()[number]
    assert outcome.new_label is not None
    said = new_label_sentence(name, outcome.new_label)
    expected = ("The network cannot learn it.", "The k-NN accepts it")
    assert said.startswith(expected[number])
