"""Several kinds with reserved labels, on real models; the accuracies worked out again by scikit-learn and in numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from coreml_updatable.marking import knn_variant, mark, with_samples
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, KNNSettings, UpdateSettings
from coreml_updatable.personalization.compare import compare
from coreml_updatable.personalization.protocol import order_of
from coreml_updatable.personalization.results import Comparison
from coreml_updatable.personalization.scenario import Scenario
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes
from tests.personalization.conftest import LABEL_OF, World, around

LEARNING_RATE, EPOCHS = 0.05, 6
NEW = {"rapids": (0, 0, 6, 0, 0, 0), "geyser": (0, 0, 0, 6, 0, 0)}
RESERVED = {"rapids": "user0", "geyser": "user1"}


def rows(points: Any) -> tuple[dict[str, Any], ...]:
    return tuple({"point": point.astype(np.float32)} for point in points)


@pytest.fixture(scope="module")
def points() -> tuple[Any, Any, tuple[str, ...], tuple[str, ...]]:
    """The owner's and the held-out points of both new kinds, and the kind of each."""
    owner = np.concatenate([around(centre, 8, 30 + number) for number, centre in enumerate(NEW.values())])
    others = np.concatenate([around(centre, 10, 40 + number) for number, centre in enumerate(NEW.values())])
    return owner, others, tuple(kind for kind in NEW for _ in range(8)), tuple(kind for kind in NEW for _ in range(10))


@pytest.fixture(scope="module")
def models(network_message: Any, world: World) -> tuple[Any, Any]:
    """The network with three reserved labels, and its k-NN, which holds the base's training points."""
    optimizer = SGD(DoubleParameter(LEARNING_RATE), Int64Parameter(1), DoubleParameter(0.0))
    settings = UpdateSettings(optimizer, Int64Parameter(EPOCHS), shuffle=False)
    network = mark(network_message, settings, layers=["head"], reserved=3, reserved_share=0.05)
    empty = knn_variant(network, KNNSettings(Int64Parameter(1)))
    return network, with_samples(empty, world.features(world.train).astype(np.float32), world.train_labels)


@pytest.fixture(scope="module")
def scenario(world: World, points: Any) -> Scenario:
    owner, others, owner_kinds, other_kinds = points
    return Scenario(
        kinds=RESERVED,
        owner_rows=rows(owner),
        owner_kinds=owner_kinds,
        held_out_rows=rows(others),
        held_out_kinds=other_kinds,
        test_rows=rows(world.test),
        test_labels=tuple(LABEL_OF[kind] for kind in world.test_kinds),
        test_kinds=world.test_kinds,
        shots=(1, 4),
        seeds=(0, 1, 2),
    )


@pytest.fixture(scope="module")
def comparison(models: Any, scenario: Scenario) -> Comparison:
    before = [model_bytes(model) for model in models]
    made = compare(load(models[0]), load(models[1]), scenario)
    assert [model_bytes(model) for model in models] == before
    return made


def share(said: Sequence[str], wanted: Sequence[str]) -> float:
    return float(np.mean([one == other for one, other in zip(said, wanted, strict=True)]))


@pytest.mark.parametrize(("place", "photos"), [(1, 1), (2, 4)])
def test_the_twin_as_scikit_learn(
    comparison: Comparison, world: World, points: Any, scenario: Scenario, place: int, photos: int
) -> None:
    owner, others, kinds, _ = points
    right, kept = [], []
    for seed in scenario.seeds:
        picked = list(order_of(kinds, photos, seed))
        known = world.features(np.concatenate([world.train, owner[picked]]))
        model = KNeighborsClassifier(1, algorithm="brute").fit(
            known, [*world.train_labels, *(RESERVED[kinds[number]] for number in picked)]
        )
        right.append(share(model.predict(world.features(others)), scenario.held_out_labels))
        kept.append(share(model.predict(world.features(world.test)), scenario.test_labels))
    point = comparison.knn.summary.at_once[place]
    assert point.shots == photos
    assert (point.held_out_accuracy.mean, point.held_out_accuracy.minimum) == pytest.approx(
        (np.mean(right), min(right))
    )
    assert point.test_accuracy.mean == pytest.approx(np.mean(kept))


def test_the_network_as_softmax_regression(
    comparison: Comparison, models: Any, world: World, points: Any, scenario: Scenario
) -> None:
    owner, others, kinds, _ = points
    names = ["calm", "wild", "user0", "user1", "user2"]
    head = next(layer for layer in models[0].neuralNetworkClassifier.layers if layer.name == "head").innerProduct
    start = np.array(head.weights.floatValue).reshape(5, 8), np.array(head.bias.floatValue)
    right = []
    for seed in scenario.seeds:
        weights, bias = start[0].copy(), start[1].copy()
        for _ in range(EPOCHS):
            for number in order_of(kinds, 4, seed):
                features = world.features(owner[number][None])[0]
                scores = weights @ features + bias
                slope = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
                slope[names.index(RESERVED[kinds[number]])] -= 1
                weights -= LEARNING_RATE * np.outer(slope, features)
                bias -= LEARNING_RATE * slope
        said = (world.features(others) @ weights.T + bias).argmax(axis=1)
        right.append(share([names[one] for one in said], scenario.held_out_labels))
    before, point = comparison.network.summary.at_once[0], comparison.network.summary.at_once[2]
    assert point.held_out_accuracy.mean == pytest.approx(np.mean(right))
    assert point.held_out_accuracy.mean > before.held_out_accuracy.mean == 0


def test_the_orders_are_balanced_and_go_on() -> None:
    kinds = ["a"] * 5 + ["b"] * 7
    few, more = order_of(kinds, 2, 3), order_of(kinds, 4, 3)
    assert more[:4] == few
    assert [kinds[number] for number in more] == ["a", "b"] * 4
    assert len(set(more)) == 8
    assert order_of(kinds, 2, 4) != few


def test_what_is_said_adds_up(comparison: Comparison, scenario: Scenario) -> None:
    for _, outcome in comparison.outcomes():
        assert [point.shots for point in outcome.summary.at_once] == [0, 1, 4]
        assert [point.shots for point in outcome.summary.one_by_one] == list(range(1 + 2 * 4))
        for point in outcome.summary.at_once:
            assert sum(point.held_out_answers.values()) == pytest.approx(1)
            by_kind = [share.mean for share in point.held_out_accuracy_by_kind.values()]
            assert np.mean(by_kind) == pytest.approx(point.held_out_accuracy.mean)
        assert len(outcome.shown.held_out_before) == len(outcome.shown.held_out_after) == len(scenario.held_out_rows)
        needed = [
            next((one.shots for one in seed.at_once if one.held_out_accuracy >= 0.9), np.inf) for seed in outcome.seeds
        ]
        assert (outcome.summary.shots_needed_at_once or np.inf) == np.median(needed)
    network, knn = (outcome.summary.at_once[-1] for _, outcome in comparison.outcomes())
    assert knn.growth_bytes.mean > 0 == network.growth_bytes.mean
