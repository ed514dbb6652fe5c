"""The whole experiment on real models, its accuracies worked out again: SGD in numpy, neighbors by scikit-learn."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.neighbors import KNeighborsClassifier

from coreml_updatable.personalization.compare import compare
from coreml_updatable.personalization.protocol import order_of
from coreml_updatable.personalization.results import Comparison, Measurement, read_comparison
from coreml_updatable.personalization.scenario import Scenario
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes

FloatArray = npt.NDArray[np.float64]
Answer = Callable[[FloatArray], FloatArray]  # points [n, 6] -> probabilities [n, 2], calm first
LABELS, LEARNING_RATE, EPOCHS = np.array(["calm", "wild"]), 0.05, 3


@pytest.fixture(scope="module")
def progress() -> list[tuple[float, str]]:
    return []


@pytest.fixture(scope="module")
def comparison(
    network_message: Any, knn_message: Any, scenario: Scenario, progress: list[tuple[float, str]]
) -> Comparison:
    return compare(load(network_message), load(knn_message), scenario, lambda *told: progress.append(told))


class Head:
    """Softmax regression on the extractor's features, trained one row at a time: w -= lr (p - y) x."""

    def __init__(self, world: Any) -> None:
        self.world, self.weights, self.bias = world, world.weights.copy(), world.bias.copy()

    def __call__(self, points: FloatArray) -> FloatArray:
        scores = self.world.features(points) @ self.weights.T + self.bias
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def learn(self, points: FloatArray) -> None:
        for _ in range(EPOCHS):
            for point in points:
                slope = self(point[None])[0] - np.array([1.0, 0.0])
                self.weights -= LEARNING_RATE * np.outer(slope, self.world.features(point[None])[0])
                self.bias -= LEARNING_RATE * slope


def neighbours(world: Any, learnt: FloatArray) -> Answer:
    points = world.features(np.concatenate([world.train, learnt]))
    model = KNeighborsClassifier(3, algorithm="brute").fit(points, [*world.train_labels, *["calm"] * len(learnt)])
    return lambda asked: np.asarray(model.predict_proba(world.features(asked)))


def agrees(measured: Measurement, answer: Answer, base: Answer, world: Any, scenario: Scenario, first: int) -> None:
    """All numbers of a measurement, from other software's answers."""
    test, labels = LABELS[answer(world.test).argmax(axis=1)], np.array(scenario.test_labels)
    before = LABELS[base(world.test).argmax(axis=1)]
    held_out = LABELS[answer(world.held_out).argmax(axis=1)]
    first_point = world.owner[first][None]
    assert measured.held_out_accuracy == pytest.approx(np.mean(held_out == "calm"))
    assert measured.held_out_answers.get("wild", 0.0) == pytest.approx(np.mean(held_out == "wild"))
    assert measured.test_accuracy == pytest.approx(np.mean(test == labels))
    for kind, accuracy in measured.test_accuracy_by_kind.items():
        chosen = np.array(scenario.test_kinds) == kind
        assert accuracy == pytest.approx(np.mean(test[chosen] == labels[chosen]))
    assert measured.called_owners == pytest.approx(np.mean((test == "calm") & (labels != "calm")))
    assert measured.held_out_accuracy_by_kind == {"rapids": measured.held_out_accuracy}
    assert measured.forgotten == pytest.approx(np.mean((before == labels) & (test != labels)))
    assert measured.first_label == LABELS[answer(first_point)[0].argmax()]
    assert measured.first_confidence == pytest.approx(answer(first_point)[0, base(first_point)[0].argmax()], abs=1e-5)


def test_network_at_once(comparison: Comparison, scenario: Scenario, world: Any) -> None:
    for seed in comparison.network.seeds:
        agrees(seed.before, Head(world), Head(world), world, scenario, seed.order[0])
        for measured in seed.at_once:
            head = Head(world)
            head.learn(world.owner[list(seed.order[: measured.shots])])
            agrees(measured, head, Head(world), world, scenario, seed.order[0])


def test_network_one_by_one(comparison: Comparison, scenario: Scenario, world: Any) -> None:
    for seed in comparison.network.seeds:
        head = Head(world)
        for step in seed.one_by_one:
            point = world.owner[step.row][None]
            assert step.confidence_before_reveal == pytest.approx(head(point)[0, 0], abs=1e-5)
            assert step.right_before_reveal == (head(point)[0].argmax() == 0)
            head.learn(point)
            agrees(step.after, head, Head(world), world, scenario, seed.order[0])


def test_knn_both_ways(comparison: Comparison, scenario: Scenario, world: Any) -> None:
    base = neighbours(world, world.owner[:0])
    for seed in comparison.knn.seeds:
        measured = [*seed.at_once, *(step.after for step in seed.one_by_one)]
        for one in measured:
            learnt = neighbours(world, world.owner[list(seed.order[: one.shots])])
            agrees(one, learnt, base, world, scenario, seed.order[0])


def test_orders_are_permutations_that_the_seed_decides(comparison: Comparison, scenario: Scenario) -> None:
    orders = [seed.order for seed in comparison.network.seeds]
    assert (
        orders
        == [seed.order for seed in comparison.knn.seeds]
        == [order_of(scenario.owner_kinds, scenario.shots[-1], seed) for seed in (0, 1, 2)]
    )
    assert len(set(orders)) == 3
    assert all(len(set(order)) == scenario.shots[-1] for order in orders)


def test_the_network_refuses_the_third_label_in_a_sentence(comparison: Comparison) -> None:
    result = comparison.network.new_label
    assert result is not None
    assert result.points == ()
    assert result.refusal is not None
    assert "rapids" in result.refusal


def test_the_knn_learns_the_third_label(comparison: Comparison, world: Any, scenario: Scenario) -> None:
    result = comparison.knn.new_label
    assert result is not None
    assert result.refusal is None
    for point in result.points:
        tried = []
        for seed in comparison.knn.seeds:
            photos = world.owner[list(seed.order[: point.shots])]
            points = world.features(np.concatenate([world.train, photos]))
            labels = [*world.train_labels, *["rapids"] * len(photos)]
            held_out, test = (majority(points, labels, world.features(asked)) for asked in (world.held_out, world.test))
            tried.append([held_out == "rapids", test == np.array(scenario.test_labels), test == "rapids"])
        expected = [np.mean([answers[place] for answers in tried]) for place in range(3)]
        found = [point.held_out_accuracy, point.test_accuracy, point.called_owners]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def majority(points: FloatArray, labels: Sequence[str], asked: FloatArray) -> npt.NDArray[np.str_]:
    """The label of most of three neighbors; of three different ones, the nearest's."""
    nearest = KNeighborsClassifier(3, algorithm="brute").fit(points, labels).kneighbors(asked, return_distance=False)
    votes = [[labels[index] for index in row] for row in nearest]
    return np.array([max(row, key=lambda label: (row.count(label), -row.index(label))) for row in votes])


def test_reset_and_growth(comparison: Comparison, network_message: Any, knn_message: Any) -> None:
    for outcome, message in ((comparison.network, network_message), (comparison.knn, knn_message)):
        assert outcome.reset.bytes_equal
        assert outcome.reset.labels_equal
        assert outcome.reset.max_probability_difference < 1e-6
        assert outcome.file_bytes == len(model_bytes(message))
    assert all(one.growth_bytes == 0 for seed in comparison.network.seeds for one in seed.at_once)
    for seed in comparison.knn.seeds:
        sizes = [one.growth_bytes for one in seed.at_once]
        assert sizes == sorted(set(sizes))
        assert sizes[-1] > 6 * 6 * 4  # six points of six floats


def test_shown_answers_are_the_first_seeds(comparison: Comparison, world: Any) -> None:
    head = Head(world)
    before = head(world.held_out)
    head.learn(world.owner[list(comparison.network.seeds[0].order)])
    shown = comparison.network.shown
    for answers, expected in ((shown.held_out_before, before), (shown.held_out_after, head(world.held_out))):
        assert [answer.label for answer in answers] == list(LABELS[expected.argmax(axis=1)])
        np.testing.assert_allclose([answer.confidence for answer in answers], expected.max(axis=1), atol=1e-5)


def test_progress_rises_to_one(comparison: Comparison, progress: Sequence[tuple[float, str]]) -> None:
    assert len(comparison.seeds) == 3
    np.testing.assert_allclose([fraction for fraction, _ in progress], np.arange(1, 7) / 6)


def test_json_round_trip(comparison: Comparison) -> None:
    import json

    assert read_comparison(json.loads(json.dumps(dataclasses.asdict(comparison)))) == comparison
