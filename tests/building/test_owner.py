"""The recipe's owner on real models, his accuracies worked out again: SGD in numpy, neighbors by scikit-learn."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.neighbors import KNeighborsClassifier

from coreml_updatable.building.comparison_stage import WITH_SET, compare_owner
from coreml_updatable.building.models_stage import Variants
from coreml_updatable.building.owner import EvaluatedModels, laboratory
from coreml_updatable.building.rows import paired_rows
from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import Examples
from coreml_updatable.errors import DataError
from coreml_updatable.marking import knn_variant, mark, with_samples
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, KNNSettings, UpdateSettings
from coreml_updatable.personalization.answers import Answers
from coreml_updatable.personalization.blocks import Block, run_block
from coreml_updatable.personalization.contenders import silent
from coreml_updatable.personalization.laboratory import Lab
from coreml_updatable.personalization.measures import BASE, FORGETTING, PERSONAL, REVEAL, WORST
from coreml_updatable.personalization.owners import draw
from coreml_updatable.personalization.results import read_comparison
from coreml_updatable.recipes.file import parse_recipe
from coreml_updatable.recipes.recipe import Recipe
from coreml_updatable.runtime import load
from coreml_updatable.updating import UpdateTask
from tests.personalization.conftest import LABEL_OF, World, around, knn_message, network_message, world

__all__ = ["knn_message", "network_message", "world"]

FloatArray = npt.NDArray[np.float64]
LABELS, RATE, SHOTS, SEEDS = ("calm", "wild"), 0.05, (1, 3, 6), (0, 1, 2)
NEW = {"rapids": (0, 0, 6, 0, 0, 0), "geyser": (0, 0, 0, 6, 0, 0)}


def recipe_of(kinds: dict[str, str], shots: Sequence[int] = SHOTS, reserved: int = 0, **more: Any) -> Recipe:
    table: dict[str, Any] = {
        "name": "Mood",
        "labels": list(LABELS),
        "input": {"type": "float32", "name": "point", "shape": [6]},
        "outputs": {"label": "mood", "probabilities": "probabilities"},
        "source": {"converter": "torch"},
        "data": {"kinds": LABEL_OF},
        "update": {"learning_rate": RATE, "mini_batch_size": 1, "epochs": 3},
        "knn": {},
        "personalization": {"kinds": kinds, "shots": list(shots), "seeds": list(SEEDS), "held_out": 10, **more},
        "metadata": {"author": "", "license": "", "version": "1.0", "description": ""},
    }
    return parse_recipe({**table, **({"reserved_labels": {"count": reserved}} if reserved else {})}, "recipe.toml")


def examples(points: FloatArray, kinds: Sequence[str], labels: Sequence[int]) -> Examples:
    names = tuple(f"{kind} {index}" for index, kind in enumerate(kinds))
    return Examples(points.astype(np.float32), np.array(labels, np.int64), names, tuple(kinds))


def part_of(world: World, owner: Examples, held_out: Examples, *models: Any) -> EvaluatedModels:
    train = [kind for kind in LABEL_OF for _ in range(12)]
    test = examples(world.test, world.test_kinds, [LABELS.index(LABEL_OF[kind]) for kind in world.test_kinds])
    data = Dataset(
        examples(world.train, train, [LABELS.index(LABEL_OF[kind]) for kind in train]),
        test.take([]),
        test,
        owner,
        held_out,
        "",
        (),
    )
    named = tuple(zip(("network", "k-NN"), models, strict=True))
    return EvaluatedModels(named, data, np.arange(len(test)), np.arange(len(train)))


@pytest.fixture
def part(world: World, network_message: Any, knn_message: Any) -> EvaluatedModels:
    owner = examples(world.owner, ["rapids"] * len(world.owner), [0] * len(world.owner))
    held_out = examples(world.held_out, ["rapids"] * len(world.held_out), [0] * len(world.held_out))
    return part_of(world, owner, held_out, network_message, knn_message)


def softmax(scores: FloatArray) -> FloatArray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


class Head:
    """Softmax regression on the extractor's features, trained one row at a time: w -= lr (p - y) x."""

    def __init__(self, world: World, weights: FloatArray, bias: FloatArray) -> None:
        self.world, self.weights, self.bias = world, weights.copy(), bias.copy()

    def said(self, points: FloatArray) -> Any:
        return softmax(self.world.features(points) @ self.weights.T + self.bias).argmax(axis=1)

    def learn(self, points: FloatArray, labels: Sequence[int], epochs: int = 3) -> None:
        for _ in range(epochs):
            for point, label in zip(points, labels, strict=True):
                features = self.world.features(point[None])
                slope = softmax(features @ self.weights.T + self.bias)[0] - np.eye(len(self.bias))[label]
                self.weights -= RATE * np.outer(slope, features[0])
                self.bias -= RATE * slope


def points(lab: Lab, protocol: str) -> dict[int, int]:
    return {shots: index for index, (way, shots) in enumerate(lab.points) if way == protocol and shots}


def test_the_network_in_every_order(world: World, part: EvaluatedModels) -> None:
    recipe = recipe_of({"rapids": "calm"})
    lab = laboratory(recipe, part, part.models, seeds=SEEDS)
    result = run_block(lab, 0, len(SEEDS)).values[0]
    wanted = np.array([LABELS.index(LABEL_OF[kind]) for kind in world.test_kinds])
    base = np.mean(Head(world, world.weights, world.bias).said(world.test) == wanted)
    for place, seed in enumerate(SEEDS):
        order = np.random.default_rng(seed).permutation(len(world.owner))[: SHOTS[-1]]
        assert draw(lab.world, place, 1).shots[0].tolist() == order.tolist()
        for shots, number in points(lab, "at_once").items():
            head = Head(world, world.weights, world.bias)
            head.learn(world.owner[order[:shots]], [0] * shots)
            kept = np.mean(head.said(world.test) == wanted)
            assert result[number, PERSONAL, place] == pytest.approx(np.mean(head.said(world.held_out) == 0))
            assert result[number, BASE, place] == pytest.approx(kept)
            assert result[number, FORGETTING, place] == pytest.approx(base - kept, abs=1e-6)
        head, before, least = Head(world, world.weights, world.bias), [], []
        for row in order:
            before.append(head.said(world.owner[[row]])[0] == 0)
            head.learn(world.owner[[row]], [0])
            least.append(np.mean(head.said(world.test) == wanted))
        last = points(lab, "one_by_one")[SHOTS[-1]]
        assert result[last, PERSONAL, place] == pytest.approx(np.mean(head.said(world.held_out) == 0))
        assert (result[last, REVEAL, place], result[last, WORST, place]) == pytest.approx((np.mean(before), min(least)))


def test_the_knn_in_every_order(world: World, part: EvaluatedModels) -> None:
    lab = laboratory(recipe_of({"rapids": "calm"}), part, part.models, seeds=SEEDS)
    result = run_block(lab, 0, len(SEEDS)).values[1]
    for place, seed in enumerate(SEEDS):
        order = np.random.default_rng(seed).permutation(len(world.owner))
        for protocol in ("at_once", "one_by_one"):
            for shots, number in points(lab, protocol).items():
                known = world.features(np.concatenate([world.train, world.owner[order[:shots]]]))
                model = KNeighborsClassifier(3, algorithm="brute").fit(known, [*world.train_labels, *["calm"] * shots])
                said = [model.predict(world.features(asked)) for asked in (world.held_out, world.test)]
                assert result[number, PERSONAL, place] == pytest.approx(np.mean(said[0] == "calm"))
                right = [item == LABEL_OF[kind] for item, kind in zip(said[1], world.test_kinds, strict=True)]
                assert result[number, BASE, place] == pytest.approx(np.mean(right))


def test_what_the_page_shows_is_what_was_measured(world: World, part: EvaluatedModels) -> None:
    recipe = recipe_of({"rapids": "calm"}, new_label="rapids")
    variants = Variants(part.models[0][1], part.models[1][1], ())
    rows = [{"point": point} for point in part.data.test.values]
    result, new, shown = compare_owner(recipe, [part], variants, rows, silent)
    lab = laboratory(recipe, part, part.models, seeds=SEEDS)
    values = run_block(lab, 0, len(SEEDS)).values
    for entrant, item in enumerate(result.entrants):
        last = points(lab, "at_once")[SHOTS[-1]]
        assert item.last(SHOTS[-1]).measures["personal_accuracy"].mean == pytest.approx(
            values[entrant, last, PERSONAL].mean(), abs=1e-6
        )
        before, after = (item.last(shots).measures["base_accuracy"].mean for shots in (0, SHOTS[-1]))
        for time, whole in (("before", before), ("after", after)):
            kinds = [kind for kind in item.kinds if kind.tested == "base"]
            shares = [getattr(kind, time).accuracy * world.test_kinds.count(kind.kind) for kind in kinds]
            assert sum(shares) / len(world.test_kinds) == pytest.approx(whole, abs=1e-6)
        (own,) = item.of_owner()
        assert (own.kind, own.label) == ("rapids", "calm")
        assert own.after.labels.get("calm", 0.0) == own.after.accuracy
        first = np.mean([after.label == "calm" for _, after in shown[entrant].held_out])
        assert first == pytest.approx(values[entrant, last, PERSONAL, 0])
        model = load(part.models[entrant][1])
        said = model.predict(rows)
        assert [before.label for before, _ in shown[entrant].test] == [str(answer["mood"]) for answer in said]
        assert item.cost is not None
        assert (item.cost.growth_bytes > 0) == (item.name == "k-NN")
    assert read_comparison(json.loads(json.dumps(result.as_json()))) == result
    damaged = result.as_json()
    del damaged["entrants"][0]["reached"]
    with pytest.raises(DataError, match=r"entrants\.0\.reached"):
        read_comparison(damaged)
    assert new is not None
    assert "rapids" in new.refused["network"]
    assert new.comparison is not None
    (knn,) = new.comparison.entrants
    for shots in SHOTS:
        tried = []
        for seed in SEEDS:
            own_points = world.owner[np.random.default_rng(seed).permutation(len(world.owner))[:shots]]
            labels = [*world.train_labels, *["rapids"] * shots]
            known = world.features(np.concatenate([world.train, own_points]))
            tried.append(
                np.mean([entry == "rapids" for entry in majority(known, labels, world.features(world.held_out))])
            )
        assert knn.last(shots).measures["personal_accuracy"].mean == pytest.approx(np.mean(tried), abs=1e-6)


def test_a_network_that_ships_with_a_replay_set_is_compared_with_it(world: World, part: EvaluatedModels) -> None:
    recipe, stored = recipe_of({"rapids": "calm"}), np.array([3, 14, 27])
    variants = Variants(part.models[0][1], part.models[1][1], ())
    rows = [{"point": point} for point in part.data.test.values]
    result, _, shown = compare_owner(recipe, [part], variants, rows, silent, [stored])
    assert [entrant.name for entrant in result.entrants] == [WITH_SET, "k-NN"]
    base = [
        {"point": part.data.train.values[row], "mood": LABEL_OF[part.data.train.kinds[row]]} for row in stored.tolist()
    ]
    model, asked = load(part.models[0][1]), part.data.owner_held_out.values
    right, changed = [], False
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(world.owner))[: SHOTS[-1]]
        own = [{"point": part.data.owner_support.values[row], "mood": "calm"} for row in order.tolist()]
        personal = UpdateTask(model, [*own, *base]).resume().model
        said = [answer["mood"] for answer in personal.predict([{"point": point} for point in asked])]
        right.append(np.mean([item == "calm" for item in said]))
        if seed == SEEDS[0]:
            assert [after.label for _, after in shown[0].held_out] == said
            kept, alone = personal.predict(rows), UpdateTask(model, own).resume().model.predict(rows)
            assert [after.confidence for _, after in shown[0].test] == pytest.approx(
                [max(answer["probabilities"].values()) for answer in kept], abs=1e-5
            )
            changed = [item["probabilities"] for item in kept] != [item["probabilities"] for item in alone]
    assert changed
    assert result.entrants[0].last(SHOTS[-1]).measures["personal_accuracy"].mean == pytest.approx(
        np.mean(right), abs=1e-6
    )
    assert "replay set" in result.conclusions[0] + result.conclusions[1]


def majority(known: FloatArray, labels: Sequence[str], asked: FloatArray) -> list[str]:
    """The label of most of three neighbors; of three different ones, the nearest's."""
    nearest = KNeighborsClassifier(3, algorithm="brute").fit(known, labels).kneighbors(asked, return_distance=False)
    votes = [[labels[index] for index in row] for row in nearest]
    return [max(row, key=lambda label: (row.count(label), -row.index(label))) for row in votes]


def test_several_kinds_with_reserved_labels_take_turns(world: World, network_message: Any) -> None:
    owner = np.concatenate([around(centre, 8, 30 + index) for index, centre in enumerate(NEW.values())])
    others = np.concatenate([around(centre, 10, 40 + index) for index, centre in enumerate(NEW.values())])
    optimizer = SGD(DoubleParameter(RATE), Int64Parameter(1), DoubleParameter(0.0))
    settings = UpdateSettings(optimizer, Int64Parameter(6), shuffle=False)
    network = mark(network_message, settings, layers=["head"], reserved=3, reserved_share=0.05)
    knn = with_samples(
        knn_variant(network, KNNSettings(Int64Parameter(1))),
        world.features(world.train).astype(np.float32),
        world.train_labels,
    )
    recipe = recipe_of({"rapids": "user0", "geyser": "user1"}, (1, 4), reserved=3)
    support, held_out = (
        examples(rows, [kind for kind in NEW for _ in range(count)], [2] * count + [3] * count)
        for rows, count in ((owner, 8), (others, 10))
    )
    part = part_of(world, support, held_out, network, knn)
    lab = laboratory(recipe, part, part.models, seeds=SEEDS)
    values = run_block(lab, 0, len(SEEDS)).values
    number, wanted = points(lab, "at_once")[4], np.repeat([2, 3], 10)
    layer = next(layer for layer in network.neuralNetworkClassifier.layers if layer.name == "head").innerProduct
    for place in range(len(SEEDS)):
        order = draw(lab.world, place, 1).shots[0]
        assert [support.kinds[row] for row in order] == ["rapids", "geyser"] * 4
        assert len(set(order.tolist())) == 8
        head = Head(world, np.array(layer.weights.floatValue).reshape(5, 8), np.array(layer.bias.floatValue))
        head.learn(owner[order], support.labels[order].tolist(), epochs=6)
        assert values[0, number, PERSONAL, place] == pytest.approx(np.mean(head.said(others) == wanted))
        known = world.features(np.concatenate([world.train, owner[order]]))
        labels = [*(LABELS.index(label) for label in world.train_labels), *support.labels[order].tolist()]
        model = KNeighborsClassifier(1, algorithm="brute").fit(known, labels)
        said = model.predict(world.features(others))
        assert values[1, number, PERSONAL, place] == pytest.approx(np.mean(said == wanted))
    assert values[0, 0, PERSONAL].max() == 0


@pytest.mark.parametrize("place", [0, 1])
def test_a_shot_is_learned_together_with_the_next_of_the_paired_rows(
    world: World, part: EvaluatedModels, place: int
) -> None:
    recipe = recipe_of({"rapids": "calm"}, paired_with="wild")
    paired = paired_rows(recipe, part.data.train)
    assert [part.data.train.kinds[row] for row in paired[:4]] == ["storm", "flood"] * 2
    lab = laboratory(recipe, part, part.models, seeds=SEEDS, paired=paired[:4])
    owners = draw(lab.world, 0, 1)
    assert len(set(owners.shots[0, 1:9:2].tolist())) == 4  # all partners, before one comes again
    assert owners.shots[0, 9] == owners.shots[0, 1]
    order = owners.shots[0, ::2].tolist()
    assert order == np.random.default_rng(0).permutation(len(world.owner))[:6].tolist()
    model = load(part.models[place][1])
    partners = part.data.train.values[paired[:4]]
    tasks = {"at_once": [order], "one_by_one": [[row] for row in order]}
    given = Block(lab, owners).answers(lab.entrants[place])
    answers = {number: one for number, one in given if isinstance(one, Answers)}
    asked = [{"point": point} for point in np.concatenate([world.held_out, world.test]).astype(np.float32)]
    count = owners.held_out.shape[1]
    for protocol, groups in tasks.items():
        personal, turn = model, 0
        for group in groups:
            rows = []
            for row in group:
                rows.append({"point": part.data.owner_support.values[row], "mood": "calm"})
                rows.append({"point": partners[turn % 4], "mood": "wild"})
                turn += 1
            personal = UpdateTask(personal, rows).resume().model
        said = [answer["probabilities"]["calm"] for answer in personal.predict(asked)]
        shares = answers[points(lab, protocol)[6]].probabilities[0, 0]
        kept = [*shares[: len(world.held_out)], *shares[count:]]
        np.testing.assert_allclose(kept, said, atol=1e-5)


def test_folds_are_pooled_by_the_rows_that_they_test(part: EvaluatedModels) -> None:
    recipe = recipe_of({"rapids": "calm"})
    halves = [dataclasses.replace(part, tested=part.tested[rows]) for rows in (slice(0, 5), slice(5, None))]
    variants = Variants(part.models[0][1], part.models[1][1], ())
    rows = [{"point": point} for point in part.data.test.values]
    result, whole = (compare_owner(recipe, given, variants, rows, silent) for given in (halves, [part]))
    assert result[2] == whole[2]  # the same models, so each row's answers are the same
    for entrant, other in zip(result[0].entrants, whole[0].entrants, strict=True):
        assert entrant.kinds == other.kinds
        for ours, theirs in zip(entrant.points, other.points, strict=True):
            for name in ("personal_accuracy", "base_accuracy", "forgetting"):
                assert ours.measures[name].mean == pytest.approx(theirs.measures[name].mean, abs=1e-6)
    assert result[0].test_rows == whole[0].test_rows
