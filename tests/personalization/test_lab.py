"""A population of owners: what the engine says of each is what UpdateTask and the model itself say."""

import errno
import json
import multiprocessing
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from pydantic import TypeAdapter
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from coreml_updatable import files
from coreml_updatable.errors import BuildError, DataError, ModelError, UserError
from coreml_updatable.personalization import block_store, gathering, measures, preparing
from coreml_updatable.personalization.answers import Answers
from coreml_updatable.personalization.blocks import Block, BlockResult, run_block
from coreml_updatable.personalization.compare import compare, run
from coreml_updatable.personalization.gathering import taught
from coreml_updatable.personalization.laboratory import PROTOCOLS, Lab, last_point
from coreml_updatable.personalization.measures import PERSONAL, WORST
from coreml_updatable.personalization.owners import Split, World, draw
from coreml_updatable.personalization.population import Population, population_of
from coreml_updatable.personalization.preparing import Prepared, Settings, prepare
from coreml_updatable.personalization.replay_effect import NONE, effect, helps
from coreml_updatable.personalization.replay_sets import herding, k_center
from coreml_updatable.personalization.results import Comparison, Difference, Interval, read_comparison
from coreml_updatable.personalization.tasks import by_tasks
from coreml_updatable.runtime import load
from coreml_updatable.spec.network import last_member
from tests.personalization.conftest import CENTRES, LABEL_OF, OWNERS_CENTRE, around

SHOTS = (0, 1, 3, 5)
NEAR = 1e-4


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """label/kind/points.npy, and the owner's kind "rapids", which no label is for."""
    folder = tmp_path_factory.mktemp("photos")
    places = {**{f"{LABEL_OF[kind]}/{kind}": CENTRES[kind] for kind in CENTRES}, "rapids": OWNERS_CENTRE}
    for seed, (place, centre) in enumerate(places.items(), start=40):
        (folder / place).mkdir(parents=True)
        np.save(folder / place / "points.npy", around(centre, 40, seed).astype(np.float32))
    return folder


@pytest.fixture(scope="session")
def models(network_message: Any, knn_message: Any) -> list[tuple[str, Any]]:
    return [("network", load(network_message)), ("k-NN", load(knn_message))]


SCENARIO = population_of(
    {
        "kinds_per_owner": 1,
        "new_kind": {},
        "relabel": {},
        "new_label": {"kinds": ["rapids"]},
        "same": {},
        "wrong_labels": 0.1,
        "held_out": 6,
    }
)


@pytest.fixture(scope="session")
def prepared(models: Any, photos: Path) -> Prepared:
    return prepare(models, photos, SCENARIO, Settings(shots=SHOTS, replay=2))


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
        [shot != want for shot, want in zip(owners.taught.ravel(), owners.wanted[:, :5].ravel(), strict=True)]
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
    empty, network = (one.last(5).measures for one in result.entrants)
    assert empty["personal_accuracy"].mean > network["personal_accuracy"].mean - network["forgetting"].mean
    assert result.conclusions[0].startswith("network serves these owners best")
    assert "Not ranked: empty" in result.conclusions[1]
    alone = run(prepare(both[:1], photos, population, settings), settings)
    assert alone.conclusions[0].startswith("empty serves")
    assert "Not ranked" not in alone.conclusions[1]


def expect_as_by_tasks(prepared: Prepared, name: str, model: Any, photos: Path) -> None:
    lab = prepared.lab
    number = next(place for place, one in enumerate(lab.contenders) if one.name == name)
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
        for one, two in zip(whole.entrants, other.entrants, strict=True):
            for a, b in zip(one.points, two.points, strict=True):
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
    ones = [number for number, (_, shots) in enumerate(lab.points) if shots == 1]
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
    pools = {f"kind{number}": np.arange(30) + 30 * number for number in range(2)}
    quality, found, wanted = np.zeros(60), [], []
    for world in range(40):
        quality = effect * 0.1 * random.normal(size=60)
        quality[30:] += 3.0  # a kind is easier, which no picture of its own tells
        split = Split(pools, *(np.zeros(0, np.int64),) * 3)
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
        found.append(taught(values, rows, np.ones(count, bool), shots * kinds, lab).std())
        wanted.append(np.sqrt(sum(quality[pool].var() / 30 for pool in pools.values()) / 4))
    assert np.mean(found) == pytest.approx(np.mean(wanted), rel=0.15, abs=1e-3)


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
    found = measures.rejection(known, counted, unknown)
    for owner in range(4):
        scores = np.concatenate([known[owner, :25], unknown[owner]])
        assert found[owner] == pytest.approx(roc_auc_score([1] * 25 + [0] * 12, scores))
    right = random.random((4, 30)) < 0.5
    confidence = p.max(axis=2)
    error = measures.calibration_error(confidence, right, counted)
    for owner in range(4):
        gaps = 0.0
        for row in range(10):
            inside = [at for at in range(25) if row / 10 <= confidence[owner, at] < (row + 1) / 10]
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
    found, rows = effect(one, 2)
    world = one.world
    assert sorted(world.row_labels[row] for row in rows) == ["calm", "calm", "wild", "wild"]
    assert set(rows.tolist()) <= set(world.split.reference.tolist())
    block = run_block(prepared.lab, 0, found.comparison.owners)
    tried = {one.name: one.last(5).intervals for one in found.comparison.entrants}
    assert tried[NONE]["personal_accuracy"].mean == pytest.approx(
        float(np.nanmean(block.values[0, last_point(prepared.lab), PERSONAL])), abs=1e-6
    )
    assert found.apart.forgetting.mean == pytest.approx(
        tried[found.choice]["forgetting"].mean - tried[NONE]["forgetting"].mean, abs=1e-6
    )


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        ({"relable": {}}, ["relable", "relabel"]),
        ({"wrong_labels": 1.5}, ["wrong_labels"]),
        ({"new_kind": {"kinds": ["rapid"]}}, ["rapid", "rapids"]),
        ({"relabel": {"labels": ["clam"]}}, ["clam", "calm"]),
        ({"kinds": {"rapids": "fast"}}, ["rapids", "calm, wild"]),
        ({"kinds": {"rapidz": "calm"}}, ["rapidz", "rapids"]),
        ({"test_share": 0.9, "reference_share": 0.2}, ["test_share"]),
        ({"same": {}, "kinds_per_owner": 9}, ["9 kinds", "shots"]),
    ],
)
def test_a_wrong_scenario_is_one_sentence(models: Any, photos: Path, content: Any, facts: list[str]) -> None:
    with pytest.raises(DataError) as error:
        prepare(models[:1], photos, population_of(content), Settings(shots=(0, 1)))
    assert all(fact in str(error.value) for fact in facts)


def test_what_cannot_be_compared_is_one_sentence(models: Any, photos: Path, network_message: Any) -> None:
    for settings, fact in (
        (Settings(owners=0), "0 owners"),
        (Settings(shots=(3, 1)), "3, 1"),
        (Settings(shots=(0, 30)), "at most"),
    ):
        with pytest.raises(DataError, match=fact):
            compare(models, photos, Population(), settings)
    fixed = type(network_message)()
    fixed.CopyFrom(network_message)
    fixed.isUpdatable = False
    setup = prepare([*models, ("fixed", load(fixed))], photos, Population(), Settings(shots=(0, 1)))
    assert any("fixed" in note for note in setup.notes)
    with pytest.raises(ModelError, match="not updatable"):
        prepare([("fixed", load(fixed))], photos, Population(), Settings(shots=(0, 1)))
    other = type(network_message)()
    other.CopyFrom(network_message)
    labels = other.neuralNetworkClassifier.stringClassLabels.vector
    labels[:] = ["x", "y"]
    with pytest.raises(DataError, match="no label in common"):
        prepare([models[0], ("other", load(other))], photos, Population(), Settings(shots=(0, 1)))


def test_a_row_that_is_not_finite_is_named(models: Any, tmp_path: Path) -> None:
    for label in ("calm", "wild"):
        (tmp_path / label).mkdir()
        points = around((0,) * 6, 12, 1).astype(np.float32)
        points[7] = np.nan
        np.save(tmp_path / label / "points.npy", points)
    with pytest.raises((DataError, ModelError)) as error:
        prepare(models[:1], tmp_path, Population(), Settings(shots=(0, 1)))
    assert "points.npy[7]" in str(error.value)


@pytest.mark.parametrize("engine", ["graph", "task"])
def test_a_head_of_two_layers_is_trained_as_by_update_tasks(
    photos: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """All owners together, or, where that does not agree, with an UpdateTask of their own; in processes too."""
    import torch

    import coreml_updatable as cu

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    made = cu.convert(network, converter="torch", inputs=["point:6"], labels=["calm", "wild"])
    model = cu.mark(made, last=2)
    if engine == "task":
        monkeypatch.setattr(preparing, "agrees", lambda *_: False)
    setup = prepare([("two layers", model)], photos, Population(), Settings(shots=(0, 2), replay=1))
    assert [one.engine for one in setup.lab.contenders] == [engine] * 2
    one = run(setup, Settings(owners=4, shots=(0, 2), workers=1, block=2))
    if engine == "graph":
        assert run(setup, Settings(owners=4, shots=(0, 2), workers=2, block=2)).entrants == one.entrants
    protocols = {point.protocol for point in one.entrants[0].points}
    assert protocols == ({"at_once"} if engine == "task" else set(PROTOCOLS))
    owner = draw(setup.lab.world, 0, 1)
    names = [setup.names[row].rstrip("]").split("[") for row in owner.shots[0]]
    target = str(model.message.description.predictedFeatureName)
    labels = [setup.lab.world.labels[label] for label in owner.taught[0]]
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


class Counting:
    """A model whose fixed part counts the rows that it is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
        self.rows = 0
        run_frozen = type(model).frozen

        def frozen(one: Any, rows: Any, numbers: Any = None) -> Any:
            self.rows += len(rows)
            return run_frozen(one, rows, numbers)

        monkeypatch.setattr(type(model), "frozen", frozen)


def test_what_can_be_refused_is_refused_before_a_row_is_embedded(
    models: Any, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counting = Counting(monkeypatch, models[0][1])
    (tmp_path / "file").write_text("")
    more: Any
    for data, population, settings, more, facts in (
        (photos, Population(), Settings(shots=(0, 30)), {}, ["30 shots"]),
        (photos, population_of({"relabel": {"kinds": ["rapid"]}}), Settings(shots=(0, 1)), {}, ["rapids"]),
        (photos / "calm", Population(), Settings(shots=(0, 1)), {}, ["calm, wild"]),
        (photos, population_of({"style": {}}), Settings(shots=(0, 1)), {}, ["style"]),
        (photos, Population(), Settings(shots=(0, 1)), {"kept": tmp_path / "file"}, ["file"]),
    ):
        with pytest.raises(UserError) as error:
            compare(models, data, population, settings, **more)
        assert all(fact in str(error.value) for fact in facts), error.value
    assert counting.rows == 0


def test_a_second_comparison_reads_embeddings_from_the_cache(
    models: Any, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = Path(shutil.copytree(photos, tmp_path / "data"))
    settings = Settings(shots=(0, 2), owners=4, workers=1)
    counting = Counting(monkeypatch, models[0][1])
    first = prepare(models[:1], data, Population(), settings)
    whole, counting.rows = counting.rows, 0
    again = prepare(models[:1], data, Population(), settings)
    assert counting.rows < whole / 2  # the first owner's rows, for the trial against UpdateTask
    assert np.array_equal(again.lab.embeddings[0], first.lab.embeddings[0])
    assert again.names == first.names
    (place,) = (tmp_path / "cache" / "coreml_updatable" / "embeddings").iterdir()
    assert place.parent.stat().st_mode & 0o077 == 0
    moved = next(data.rglob("points.npy"))
    np.save(moved, np.load(moved)[:-1] + np.float32(0.25))
    changed = prepare(models[:1], data, Population(), settings)
    alone = prepare(models[:1], Path(shutil.copytree(data, tmp_path / "other")), Population(), settings)
    assert np.array_equal(changed.lab.embeddings[0], alone.lab.embeddings[0])
    assert len(changed.names) == len(first.names) - 1
    place.write_bytes(place.read_bytes()[:-50])
    assert np.array_equal(
        prepare(models[:1], photos, Population(), settings).lab.embeddings[0], first.lab.embeddings[0]
    )


def test_a_disk_that_fills_is_one_sentence_and_what_is_there_is_gone_on_with(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(owners=20, shots=SHOTS, workers=1, block=4)
    whole = run(prepared, settings)
    written = list[Path]()

    def full(path: Path, content: bytes) -> None:
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        written.append(path)
        files.write_atomically(path, content)

    monkeypatch.setattr(block_store, "write_atomically", full)
    with pytest.raises(BuildError, match=r"owners-.*--resume"):
        run(prepared, settings, kept=tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(gathering, "SPILL", 0)  # every array lies in a file
    ran = []
    found = run(prepared, settings, lambda share, _: ran.append(share), kept=tmp_path, resume=True)
    assert len(ran) == 3  # two blocks, and the end
    assert replace(found, seconds={}) == replace(whole, seconds={})

    def no_room(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(BuildError, match="TMPDIR"):
        run(prepared, settings)


@pytest.mark.slow
def test_a_local_worker_that_is_killed_is_one_sentence_and_what_is_there_is_gone_on_with(
    prepared: Prepared, tmp_path: Path
) -> None:
    settings = Settings(owners=64, shots=SHOTS, workers=2, block=2)

    def told(_share: float, _detail: str) -> None:
        for process in multiprocessing.active_children():
            process.kill()

    with pytest.raises(BuildError, match="--resume"):
        run(prepared, settings, told, kept=tmp_path)
    assert list(tmp_path.glob("owners-*.npz"))
    found = run(prepared, settings, kept=tmp_path, resume=True)
    assert replace(found, seconds={}) == replace(run(prepared, replace(settings, workers=1)), seconds={})


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
