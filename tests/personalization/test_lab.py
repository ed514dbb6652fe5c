"""A population of owners: what the engine says of each is what UpdateTask and the model itself say."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from pydantic import TypeAdapter
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from coreml_updatable.errors import DataError
from coreml_updatable.personalization import measures, preparing
from coreml_updatable.personalization.answers import Answers
from coreml_updatable.personalization.blocks import Block, BlockResult, run_block
from coreml_updatable.personalization.compare import run
from coreml_updatable.personalization.gathering import training_effect
from coreml_updatable.personalization.laboratory import PROTOCOLS, Lab, last_point
from coreml_updatable.personalization.measures import PERSONAL, WORST
from coreml_updatable.personalization.owners import OwnerSplit, World, draw
from coreml_updatable.personalization.population import Population, population_of
from coreml_updatable.personalization.preparing import Prepared, Settings, prepare
from coreml_updatable.personalization.replay_effect import NONE, effect, helps
from coreml_updatable.personalization.replay_sets import herding, k_center
from coreml_updatable.personalization.results import Comparison, Difference, Interval, read_comparison
from coreml_updatable.personalization.tasks import by_tasks
from coreml_updatable.runtime import load
from coreml_updatable.spec.network import last_member
from coreml_updatable.updating import UpdateTask
from tests.personalization.conftest import LABELS, SCENARIO, SHOTS

NEAR = 1e-4


def same(one: BlockResult, other: BlockResult) -> bool:
    return np.allclose(one.values, other.values, atol=1e-6, equal_nan=True)


def test_nothing_that_is_learned_is_tested_on(prepared: Prepared) -> None:
    world = prepared.lab.world
    owners = draw(world, 0, 50)
    split = world.split
    assert not np.intersect1d(owners.shots, split.test).size
    assert not np.intersect1d(owners.shots, split.reference).size
    assert not np.intersect1d(owners.held_out, split.test).size
    assert not np.intersect1d(split.test, split.reference).size
    for shots, held in zip(owners.shots, owners.held_out, strict=True):
        assert len(set(shots.tolist())) == len(shots)
        assert not set(shots.tolist()) & set(held.tolist())
    assert set(owners.sorts) == {"new_kind", "relabel", "new_label", "same"}
    wrong = np.mean(
        [shot != want for shot, want in zip(owners.shot_labels.ravel(), owners.wanted[:, :5].ravel(), strict=True)]
    )
    assert 0.02 < wrong < 0.25


@pytest.mark.parametrize("name", ["network", "k-NN"])
def test_every_owner_is_answered_as_by_its_own_update_task(
    prepared: Prepared, models: Any, photos: Path, name: str
) -> None:
    expect_as_by_tasks(prepared, name, dict(models)[name], photos)


@pytest.mark.parametrize("default", ["unknown", "calm"])
def test_a_k_nn_without_samples_is_answered_as_by_update_tasks(
    models: Any, knn_message: Any, photos: Path, default: str
) -> None:
    """Before the first shot it answers its default label, which may be one of the labels; not one by one."""
    empty = without_samples(knn_message, default)
    prepared = prepare([("empty", load(empty)), models[0]], photos, SCENARIO, Settings(shots=SHOTS))
    assert prepared.lab.contenders[0].engine == "neighbors"
    expect_as_by_tasks(prepared, "empty", load(empty), photos)


def without_samples(knn_message: Any, default: str) -> Any:
    empty = type(knn_message)()
    empty.CopyFrom(knn_message)
    classifier = last_member(empty).kNearestNeighborsClassifier
    del classifier.nearestNeighborsIndex.floatSamples[:]
    del classifier.stringClassLabels.vector[:]
    classifier.defaultStringLabel = default
    return empty


def test_a_k_nn_that_knows_nothing_is_not_the_best(models: Any, knn_message: Any, photos: Path) -> None:
    """It forgets nothing, because it knows nothing: a network that knows the base is preferred, whatever it forgets."""
    settings = Settings(owners=12, shots=(0, 5), references=False, workers=1)
    population = population_of({"kinds": {"rapids": "calm"}, "same": {"kinds": ["rapids"]}})
    both = [("empty", load(without_samples(knn_message, "unknown"))), models[0]]
    result = run(prepare(both, photos, population, settings), settings)
    empty, network = (entrant.last(5).measures for entrant in result.entrants)
    assert empty["personal_accuracy"].mean > network["personal_accuracy"].mean - network["forgetting"].mean
    assert result.conclusions[0].startswith("network serves these owners best")
    assert "Not ranked: empty" in result.conclusions[1]
    alone = run(prepare(both[:1], photos, population, settings), settings)
    assert alone.conclusions[0].startswith("empty serves")
    assert "Not ranked" not in alone.conclusions[1]
    same = run(prepare([models[0], ("copy", models[0][1])], photos, population, settings), settings)
    assert "best" not in same.conclusions[0], "one of two equal models is called the best"
    assert "not significant" in same.conclusions[1]


def expect_as_by_tasks(prepared: Prepared, name: str, model: Any, photos: Path) -> None:
    lab = prepared.lab
    number = next(place for place, contender in enumerate(lab.contenders) if contender.name == name)
    places = (place.rstrip("]").split("[") for place in prepared.names)
    rows = [{"point": np.load(photos / file)[int(row)]} for file, row in places]
    frozen = (tuple(model.frozen(rows)),)
    alone = replace(lab, frozen=(frozen,) * len(lab.contenders), memory={-1 - number: model}, protocols=("at_once",))
    owners = draw(lab.world, 0, 12)
    ours = dict(Block(alone, owners).answers(lab.entrants[number]))
    theirs = dict(by_tasks(alone, owners, number))
    for point in range(len(alone.points)):
        one, other = ours[point], theirs[point]
        assert isinstance(one, Answers)
        assert isinstance(other, Answers)
        assert one.probabilities == pytest.approx(other.probabilities, abs=NEAR)
        ties = np.sort(other.probabilities, axis=1)
        clear = ties[:, -1] - ties[:, -2] > NEAR
        assert (one.classes == other.classes)[clear].all()


def test_any_number_of_workers_and_any_block_is_the_same_comparison(prepared: Prepared, tmp_path: Path) -> None:
    whole = run(prepared, Settings(owners=21, shots=SHOTS, workers=1, block=64))
    parts = run(prepared, Settings(owners=21, shots=SHOTS, workers=2, block=4), kept=tmp_path)
    files = sorted(tmp_path.glob("owners-*.npz"))
    assert len(files) == 6
    files[2].unlink()
    files[3].write_bytes(b"half a file")
    again = run(prepared, Settings(owners=21, shots=SHOTS, workers=1, block=4), kept=tmp_path, resume=True)
    for other in (parts, again):
        for entrant, two in zip(whole.entrants, other.entrants, strict=True):
            for a, b in zip(entrant.points, two.points, strict=True):
                assert a.measures.keys() == b.measures.keys()
                for name, value in a.measures.items():
                    assert vars(value) == pytest.approx(vars(b.measures[name]), abs=1e-5)
                for name, ends in a.intervals.items():
                    assert vars(ends) == pytest.approx(vars(b.intervals[name]), abs=1e-5)


def test_the_work_of_the_fixed_part_is_that_of_its_products(prepared: Prepared, network_message: Any) -> None:
    products = [layer for layer in network_message.neuralNetworkClassifier.layers if layer.HasField("innerProduct")]
    sizes = {
        layer.isUpdatable: layer.innerProduct.inputChannels * layer.innerProduct.outputChannels for layer in products
    }
    assert len(products) == 2
    cost = prepared.costs["network"]
    assert (cost.operations, cost.head_operations) == (sizes[False], sizes[True])
    replayed = prepared.costs["k-NN + replay 2"]
    assert replayed.file_bytes > prepared.costs["k-NN"].file_bytes
    assert replayed.head_operations > prepared.costs["k-NN"].head_operations


def test_an_update_with_a_replay_set_is_timed_with_it(models: Any, photos: Path, monkeypatch: Any) -> None:
    counts = []

    class Counted(UpdateTask):
        def __init__(self, model: Any, rows: Any, **more: Any) -> None:
            counts.append(len(rows))
            super().__init__(model, rows, **more)

    monkeypatch.setattr("coreml_updatable.personalization.costs.UpdateTask", Counted)
    prepare(models[:1], photos, SCENARIO, Settings(shots=SHOTS, replay=2))
    assert counts == [SHOTS[-1], SHOTS[-1] + 2 * len(LABELS)]


def test_a_report_is_what_its_schema_says(prepared: Prepared) -> None:
    result = run(prepared, Settings(owners=8, shots=SHOTS, workers=1))
    value = json.loads(json.dumps(result.as_json(), allow_nan=False))
    published = json.loads((Path(__file__).parents[2] / "docs" / "lab-report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(value, published)
    assert read_comparison(value) == result
    of_class = TypeAdapter(Comparison).json_schema()
    assert {key: value for key, value in published.items() if key != "$schema"} == json.loads(json.dumps(of_class))
    with pytest.raises(DataError, match="owners"):
        read_comparison({**value, "owners": "many"})


def test_a_point_of_one_shot_is_the_same_by_every_protocol(prepared: Prepared) -> None:
    lab = prepared.lab
    block = run_block(lab, 0, 10)
    ones = [index for index, (_, shots) in enumerate(lab.points) if shots == 1]
    assert len(ones) == 3
    for entrant in range(2):
        first, *others = (block.values[entrant, number, :WORST] for number in ones)
        for other in others:
            assert first == pytest.approx(other, abs=1e-6, nan_ok=True)


def test_more_owners_do_not_make_few_pictures_tell_more(models: Any, photos: Path) -> None:
    """The base's accuracy is known as well as its test pictures say, however many owners there are."""
    settings = Settings(owners=30, shots=(0, 1), references=False, workers=1)
    setup = prepare(models[:1], photos, Population(), settings)
    few, many = (run(setup, replace(settings, owners=owners)) for owners in (30, 300))
    widths = []
    for result in (few, many):
        ends = result.entrants[0].points[1].intervals["base_accuracy"]
        widths.append(ends.high - ends.low)
    tests = setup.lab.world.split.test
    share = result.entrants[0].points[0].measures["base_accuracy"].mean
    binomial = 2 * 1.96 * np.sqrt(share * (1 - share) / len(tests))
    assert widths[0] > widths[1] > 0.6 * binomial


@pytest.mark.parametrize(("kinds", "shots", "effect"), [(1, 4, 1.0), (2, 3, 1.0), (1, 4, 0.0)])
def test_pictures_that_are_learned_from_widen_an_interval_as_other_pictures_would(
    kinds: int, shots: int, effect: float
) -> None:
    """An owner's figure is the mean quality of his shots, and noise: over other collections of m pictures a kind the
    mean of all owners spreads by sd(quality) / sqrt(m), so the replicates must."""
    random = np.random.default_rng(3)
    pools = {f"kind{index}": np.arange(30) + 30 * index for index in range(2)}
    quality, result, wanted = np.zeros(60), [], []
    for world in range(40):
        quality = effect * 0.1 * random.normal(size=60)
        quality[30:] += 3.0  # a kind is easier, which no picture of its own tells
        split = OwnerSplit(pools, *(np.zeros(0, np.int64),) * 3)
        population = population_of({"kinds_per_owner": kinds, "seed": world})
        names = tuple(kind for kind, pool in pools.items() for _ in pool)
        lab = Lab(World(population, names, names, (), split, shots), (), (), (), (), (shots,))
        count = 1500
        drawn = [
            np.concatenate(
                [random.permutation(pools[kind])[:shots] for kind in random.permutation(list(pools))[:kinds]]
            )
            for _ in range(count)
        ]
        rows = np.array(drawn)
        values = quality[rows].mean(axis=1) + 0.05 * random.normal(size=count)
        result.append(training_effect(values, rows, np.ones(count, bool), shots * kinds, lab).std())
        wanted.append(np.sqrt(sum(quality[pool].var() / 30 for pool in pools.values()) / 4))
    assert np.mean(result) == pytest.approx(np.mean(wanted), rel=0.15, abs=1e-3)


def test_measures_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    p = random.dirichlet(np.ones(3), (4, 30))
    wanted = random.integers(0, 3, (4, 30))
    counted = np.ones((4, 30), bool)
    counted[:, 25:] = False
    ours = (measures.log_loss(p.swapaxes(1, 2), wanted, counted), measures.brier(p.swapaxes(1, 2), wanted, counted))
    for owner in range(4):
        kept = wanted[owner, :25], p[owner, :25]
        assert ours[0][owner] == pytest.approx(log_loss(*kept, labels=[0, 1, 2]))
        assert ours[1][owner] == pytest.approx(brier_score_loss(*kept, labels=[0, 1, 2], scale_by_half=False))
    known, unknown = random.integers(0, 9, (4, 30)) / 9.0, random.integers(0, 9, (4, 12)) / 9.0
    result = measures.rejection(known, counted, unknown)
    for owner in range(4):
        scores = np.concatenate([known[owner, :25], unknown[owner]])
        assert result[owner] == pytest.approx(roc_auc_score([1] * 25 + [0] * 12, scores))
    right = random.random((4, 30)) < 0.5
    confidence = p.max(axis=2)
    error = measures.calibration_error(confidence, right, counted)
    for owner in range(4):
        gaps = 0.0
        for row in range(10):
            inside = [index for index in range(25) if row / 10 <= confidence[owner, index] < (row + 1) / 10]
            gaps += abs(sum(right[owner, at] - confidence[owner, at] for at in inside)) / 25
        assert error[owner] == pytest.approx(gaps)


def test_a_replay_set_stands_for_its_label() -> None:
    random = np.random.default_rng(2)
    points = random.normal(size=(40, 5)).astype(np.float32)
    kept = herding(points, 6)
    assert len(set(kept.tolist())) == 6
    mean = points.mean(axis=0)
    others = [np.linalg.norm(points[random.permutation(40)[:6]].mean(axis=0) - mean) for _ in range(200)]
    assert np.linalg.norm(points[kept].mean(axis=0) - mean) < np.percentile(others, 5)
    far = k_center(points, 6)
    reach = [np.linalg.norm(points[:, None] - points[rows][None], axis=2).min(axis=1).max() for rows in (far, kept)]
    assert reach[0] < reach[1]
    assert len(herding(points, 99)) == len(k_center(points, 99)) == 40


def test_a_replay_set_helps_if_it_surely_saves_more_than_it_costs(prepared: Prepared) -> None:
    def ends(mean: float, low: float, high: float) -> Interval:
        return Interval(mean, low, high)

    for personal, forgetting, expected in (
        (ends(-0.01, -0.02, 0.0), ends(-0.05, -0.07, -0.03), True),
        (ends(-0.06, -0.09, 0.0), ends(-0.05, -0.07, -0.03), False),  # costs more than it saves
        (ends(0.0, 0.0, 0.0), ends(-0.05, -0.11, 0.01), False),  # may save nothing
    ):
        assert helps(Difference("none", "set", 3, personal, forgetting)) == expected
    one = replace(
        prepared.lab,
        contenders=prepared.lab.contenders[:1],
        embeddings=prepared.lab.embeddings[:1],
        frozen=((),),
        memory={},
    )
    actual, rows = effect(one, 2)
    world = one.world
    assert sorted(world.row_labels[row] for row in rows) == ["calm", "calm", "wild", "wild"]
    assert set(rows.tolist()) <= set(world.split.reference.tolist())
    block = run_block(prepared.lab, 0, actual.comparison.owners)
    tried = {entrant.name: entrant.last(5).intervals for entrant in actual.comparison.entrants}
    assert tried[NONE]["personal_accuracy"].mean == pytest.approx(
        float(np.nanmean(block.values[0, last_point(prepared.lab), PERSONAL])), abs=1e-6
    )
    assert actual.apart.forgetting.mean == pytest.approx(
        tried[actual.choice]["forgetting"].mean - tried[NONE]["forgetting"].mean, abs=1e-6
    )


@pytest.mark.parametrize("engine", ["graph", "task"])
def test_a_head_of_two_layers_is_trained_as_by_update_tasks(
    photos: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """All owners together, or, where that does not agree, with an UpdateTask of their own; in processes too."""
    import torch

    import coreml_updatable as cu

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    result = cu.convert(network, converter="torch", inputs=["point:6"], labels=["calm", "wild"])
    model = cu.mark(result, last=2)
    if engine == "task":
        monkeypatch.setattr(preparing, "agrees", lambda *_: False)
    setup = prepare([("two layers", model)], photos, Population(), Settings(shots=(0, 2), replay=1))
    assert [contender.engine for contender in setup.lab.contenders] == [engine] * 2
    one = run(setup, Settings(owners=4, shots=(0, 2), workers=1, block=2))
    if engine == "graph":
        assert run(setup, Settings(owners=4, shots=(0, 2), workers=2, block=2)).entrants == one.entrants
    protocols = {point.protocol for point in one.entrants[0].points}
    assert protocols == ({"at_once"} if engine == "task" else set(PROTOCOLS))
    owner = draw(setup.lab.world, 0, 1)
    names = [setup.names[row].rstrip("]").split("[") for row in owner.shots[0]]
    target = str(model.message.description.predictedFeatureName)
    labels = [setup.lab.world.labels[label] for label in owner.shot_labels[0]]
    rows = [
        {"point": np.load(photos / file)[int(row)], target: label}
        for (file, row), label in zip(names, labels, strict=True)
    ]
    personal = cu.UpdateTask(model, rows).resume().model
    held = [setup.names[row].rstrip("]").split("[") for row in owner.held_out[0] if row >= 0]
    said = personal.predict([{"point": np.load(photos / file)[int(row)]} for file, row in held])
    right = np.mean([answer[target] == setup.lab.world.labels[owner.wanted[0, 0]] for answer in said])
    block = run_block(setup.lab, 0, 1)
    assert block.values[0, 1, PERSONAL, 0] == pytest.approx(right)


def test_kinds_drift_and_are_imbalanced_as_a_scenario_says(models: Any, photos: Path) -> None:
    def shares(**scenario: Any) -> Any:
        """[S]: how often each shot is of the owner's first kind."""
        population = population_of({"kinds_per_owner": 2, "held_out": 4, "same": {}, **scenario})
        world = prepare(models[:1], photos, population, Settings(shots=(0, 4), references=False)).lab.world
        owners = draw(world, 0, 400)
        first = [
            [world.kinds[row] == kinds[0] for row in rows]
            for rows, kinds in zip(owners.shots, owners.kinds, strict=True)
        ]
        return np.mean(first, axis=0)

    assert shares().tolist() == [1, 0] * 4
    few = shares(imbalance=4)
    assert few.mean() == pytest.approx(4 / 5, abs=0.05)
    moving = shares(drift=1)
    assert moving[0] == 1
    assert moving[-1] == 0
    assert np.corrcoef(moving, np.arange(8))[0, 1] < -0.95
    assert shares(drift=0.5)[0] == pytest.approx(2 / 3, abs=0.06)  # weights 1/2 + 1/2 and 1/2
