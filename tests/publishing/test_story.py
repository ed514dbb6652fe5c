"""Sentences say what the numbers say."""

from collections.abc import Callable

from coreml_updatable.personalization.results import Comparison
from coreml_updatable.publishing.report.story import headline, mistakes, owners_labels, shots_of_each
from tests.publishing.conftest import STICKERS, compare

MakeComparison = Callable[[float, float], Comparison]


def test_the_headline_names_what_the_base_takes_them_for(make_comparison: MakeComparison) -> None:
    said = headline(make_comparison(0.12, 0.4))
    assert "pancakes" in said
    assert "“fast-food”" in said


def test_what_a_model_still_takes_them_for(make_comparison: MakeComparison) -> None:
    network, knn = mistakes(make_comparison(0.07, 0.4))
    assert "“fast-food” for 30%" in network
    assert "fast-food" not in knn
    assert "“healthy”" in knn


def test_several_kinds_are_counted_each() -> None:
    result = compare(0.1, 0.1, STICKERS)
    assert shots_of_each(5, result) == "5 photos of each kind"
    assert owners_labels(result) == "the owner's label"
