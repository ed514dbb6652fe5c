"""New kinds in open slots, on real models; the accuracies worked out again by scikit-learn and in numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from coreml_updatable.marking import mark, twin, with_samples
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, KNNSettings, UpdateSettings
from coreml_updatable.personalization.slots import SlotsScenario, chosen, compare_slots
from coreml_updatable.personalization.slots_results import SlotsComparison
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes
from tests.personalization.conftest import LABEL_OF, World, around

LEARNING_RATE, EPOCHS = 0.05, 6
NEW = {"rapids": (0, 0, 6, 0, 0, 0), "geyser": (0, 0, 0, 6, 0, 0)}
SLOTS = {"rapids": "user0", "geyser": "user1"}


def rows(points: Any) -> tuple[dict[str, Any], ...]:
    return tuple({"point": point.astype(np.float32)} for point in points)


@pytest.fixture(scope="module")
def points() -> tuple[Any, Any, tuple[str, ...], tuple[str, ...]]:
    """The owner's and the held-out points of both new kinds, and their labels."""
    owner = np.concatenate([around(centre, 8, 30 + number) for number, centre in enumerate(NEW.values())])
    others = np.concatenate([around(centre, 10, 40 + number) for number, centre in enumerate(NEW.values())])
    labels = tuple(SLOTS.values())
    return (
        owner,
        others,
        tuple(label for label in labels for _ in range(8)),
        tuple(label for label in labels for _ in range(10)),
    )


@pytest.fixture(scope="module")
def models(network_message: Any, world: World) -> tuple[Any, Any]:
    """The network with three open slots, and its twin, which holds the base's training points."""
    optimizer = SGD(DoubleParameter(LEARNING_RATE), Int64Parameter(1), DoubleParameter(0.0))
    settings = UpdateSettings(optimizer, Int64Parameter(EPOCHS), shuffle=False)
    network = mark(network_message, settings, layers=["head"], spare=3, spare_share=0.05)
    empty = twin(network, KNNSettings(Int64Parameter(1)))
    return network, with_samples(empty, world.features(world.train).astype(np.float32), world.train_labels)


@pytest.fixture(scope="module")
def scenario(world: World, points: Any) -> SlotsScenario:
    owner, others, owner_labels, other_labels = points
    return SlotsScenario(
        kinds=SLOTS,
        slots=3,
        owner_rows=rows(owner),
        owner_labels=owner_labels,
        held_out_rows=rows(others),
        held_out_labels=other_labels,
        test_rows=rows(world.test),
        test_labels=tuple(LABEL_OF[kind] for kind in world.test_kinds),
        photos=(1, 4),
        seeds=(0, 1, 2),
    )


@pytest.fixture(scope="module")
def comparison(models: Any, scenario: SlotsScenario) -> SlotsComparison:
    before = [model_bytes(model) for model in models]
    made = compare_slots(load(models[0]), load(models[1]), scenario, lambda *_: None)
    assert [model_bytes(model) for model in models] == before
    return made


def share(said: Sequence[str], wanted: Sequence[str]) -> float:
    return float(np.mean([one == other for one, other in zip(said, wanted, strict=True)]))


@pytest.mark.parametrize(("place", "photos"), [(1, 1), (2, 4)])
def test_the_twin_as_scikit_learn(
    comparison: SlotsComparison, world: World, points: Any, scenario: SlotsScenario, place: int, photos: int
) -> None:
    owner, others, labels, wanted = points
    right, kept = [], []
    for seed in scenario.seeds:
        picked = chosen(labels, photos, seed)
        known = world.features(np.concatenate([world.train, owner[picked]]))
        model = KNeighborsClassifier(1, algorithm="brute").fit(
            known, [*world.train_labels, *(labels[number] for number in picked)]
        )
        right.append(share(model.predict(world.features(others)), wanted))
        kept.append(share(model.predict(world.features(world.test)), scenario.test_labels))
    point = comparison.knn.points[place]
    assert point.photos == photos
    assert (point.right.mean, point.right.minimum) == pytest.approx((np.mean(right), min(right)))
    assert point.kept.mean == pytest.approx(np.mean(kept))


def test_the_network_as_softmax_regression(
    comparison: SlotsComparison, models: Any, world: World, points: Any, scenario: SlotsScenario
) -> None:
    owner, others, labels, wanted = points
    names = ["calm", "wild", "user0", "user1", "user2"]
    head = next(layer for layer in models[0].neuralNetworkClassifier.layers if layer.name == "head").innerProduct
    start = np.array(head.weights.floatValue).reshape(5, 8), np.array(head.bias.floatValue)
    right = []
    for seed in scenario.seeds:
        weights, bias = start[0].copy(), start[1].copy()
        for _ in range(EPOCHS):
            for number in chosen(labels, 4, seed):
                features = world.features(owner[number][None])[0]
                scores = weights @ features + bias
                slope = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
                slope[names.index(labels[number])] -= 1
                weights -= LEARNING_RATE * np.outer(slope, features)
                bias -= LEARNING_RATE * slope
        said = (world.features(others) @ weights.T + bias).argmax(axis=1)
        right.append(share([names[one] for one in said], wanted))
    point = comparison.network.points[2]
    assert point.right.mean == pytest.approx(np.mean(right))
    assert point.right.mean > comparison.network.points[0].right.mean == 0


def test_the_orders_are_balanced_and_go_on() -> None:
    labels = ["a"] * 5 + ["b"] * 7
    few, more = chosen(labels, 2, 3), chosen(labels, 4, 3)
    assert more[:4] == few
    assert [labels[number] for number in more] == ["a", "b"] * 4
    assert len(set(more)) == 8
    assert chosen(labels, 2, 4) != few


def test_what_is_said_adds_up(comparison: SlotsComparison, scenario: SlotsScenario) -> None:
    for outcome in (comparison.network, comparison.knn):
        assert [point.photos for point in outcome.points] == [0, 1, 4]
        for point in outcome.points:
            assert sum(point.held_out_answers.values()) == pytest.approx(1)
            assert np.mean(list(point.right_by_kind.values())) == pytest.approx(point.right.mean)
        assert len(outcome.before) == len(outcome.after) == len(scenario.held_out_rows)
        needed = outcome.photos_needed()
        assert needed is None or next(one for one in outcome.points if one.photos == needed).right.mean >= 0.9
    assert comparison.knn.points[-1].growth_bytes > 0 == comparison.network.points[-1].growth_bytes
