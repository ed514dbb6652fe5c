"""Intervals and counts against scipy and scikit-learn, and what advice says."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from coreml_updatable.personalization.statistics import base_statistics, difference, wilson

LABELS = ("bird", "cat", "dog")


@pytest.mark.parametrize(("right", "rows"), [(0, 1), (1, 1), (0, 20), (20, 20), (17, 20), (161, 168), (999, 1000)])
def test_the_interval_is_wilsons(right: int, rows: int) -> None:
    expected = binomtest(right, rows).proportion_ci(method="wilson")
    actual = wilson(right, rows)
    assert (actual.low, actual.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert (actual.share, actual.rows) == (right / rows, rows)


def test_nothing_is_known_of_no_rows() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


def drawn(rows: int = 300, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    wanted = random.integers(0, 3, rows)
    logits = random.normal(0, 1, (rows, 3)) + 2 * np.eye(3)[wanted]
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True), wanted


def test_counts_are_scikit_learns() -> None:
    probabilities, wanted = drawn()
    called = probabilities.argmax(axis=1)
    result = base_statistics(probabilities, wanted, LABELS)
    assert np.array_equal(np.array(result.confusion), confusion_matrix(wanted, called))
    precision, recall, _, support = precision_recall_fscore_support(wanted, called)
    for index, label in enumerate(result.labels):
        assert label.recall.share == pytest.approx(recall[index])
        assert label.precision is not None
        assert label.precision.share == pytest.approx(precision[index])
        assert label.rows == support[index]
    assert result.accuracy.share == pytest.approx((called == wanted).mean())
    assert [mistake.row for mistake in result.mistakes] == sorted(
        np.flatnonzero(called != wanted), key=lambda row: -probabilities[row].max()
    )


def test_a_label_that_is_never_called_has_no_precision() -> None:
    probabilities = np.array([[0.6, 0.4, 0.0], [0.7, 0.3, 0.0]])
    result = base_statistics(probabilities, np.array([0, 1]), LABELS)
    assert result.labels[1].precision is None
    assert result.labels[1].recall.share == 0


def test_the_difference_has_the_interval_of_a_paired_bootstrap() -> None:
    random = np.random.default_rng(1)
    one, other = random.random(400) < 0.8, random.random(400) < 0.9
    mean, low, high = difference(one.tolist(), other.tolist())
    gains = other.astype(float) - one
    error = gains.std() / np.sqrt(len(gains))
    assert mean == pytest.approx(gains.mean())
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.01)
    assert difference(one.tolist(), one.tolist()) == (0.0, 0.0, 0.0)


def advice(probabilities: Any, wanted: Any, **more: Any) -> str:
    return " ".join(base_statistics(probabilities, wanted, LABELS, **more).advice)


def sure(wanted: Any, share: float = 0.98) -> Any:
    return np.where(np.eye(3)[wanted] > 0, share, (1 - share) / 2)


def test_a_wrong_label_comes_first() -> None:
    wanted = np.arange(300) % 3
    probabilities = sure(wanted)
    output = wanted.copy()
    output[[7, 100]] = [0, 2]  # the network knows better
    result = base_statistics(probabilities, output, LABELS)
    assert {mistake.row for mistake in result.mistakes} == {7, 100}
    assert "2 examples" in result.advice[0]


def test_the_weakest_label_and_labels_that_are_taken_for_one_another() -> None:
    wanted = np.arange(300) % 3
    called = wanted.copy()
    cats, dogs = np.flatnonzero(wanted == 1), np.flatnonzero(wanted == 2)
    called[cats[:30]], called[dogs[:25]] = 2, 1
    result = advice(sure(called, 0.8), wanted, counts={"cat": 40})
    assert "'cat'" in result
    assert "40 training examples" in result
    assert "'cat' and 'dog'" in result


def test_few_and_similar_pictures() -> None:
    wanted = np.arange(12) % 3
    result = advice(sure(wanted), wanted, groups=np.arange(12) // 2)
    assert "12 examples are few" in result
    assert "6 of 12" in result
    assert advice(sure(np.arange(3000) % 3), np.arange(3000) % 3, groups=np.arange(3000)) == ""


def test_a_learning_curve_says_whether_more_examples_would_help() -> None:
    wanted = np.arange(300) % 3
    all_of_them = wanted.copy()
    all_of_them[:9] = (wanted[:9] + 1) % 3
    half = all_of_them.copy()
    cats = np.flatnonzero(wanted == 1)
    half[cats[10:50]] = 0
    result = advice(sure(all_of_them, 0.8), wanted, on_half=sure(half, 0.8))
    assert "83.7% with half" in result
    assert "97.0% with all" in result
    assert "'cat'" in result.rpartition("most of all")[2]
    assert "flat" in advice(sure(all_of_them, 0.8), wanted, on_half=sure(all_of_them, 0.8))
