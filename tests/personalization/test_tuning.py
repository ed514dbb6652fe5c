"""Tuning: what is chosen is judged on owners that share no picture with it, and written into the model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import coreml_updatable as cu
from coreml_updatable.errors import RecipeError
from coreml_updatable.personalization.lab import Settings, prepare
from coreml_updatable.personalization.population import Population
from coreml_updatable.recipes.tuned import write_tuned
from coreml_updatable.runtime import load
from tests.personalization.conftest import CENTRES, LABEL_OF, OWNERS_CENTRE, around


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    places = {**{f"{LABEL_OF[kind]}/{kind}": CENTRES[kind] for kind in CENTRES}, "rapids": OWNERS_CENTRE}
    for seed, (place, centre) in enumerate(places.items(), start=60):
        (folder / place).mkdir(parents=True)
        np.save(folder / place / "points.npy", around(centre, 60, seed).astype(np.float32))
    return folder


SCENARIO = {"new_kind": {"labels": ["calm"]}}


def tuned(model: Any, photos: Path, **more: Any) -> Any:
    given = {"budget": 14, "owners": 24, "test_owners": 60, "shots": 5, "scenario": SCENARIO, **more}
    return cu.tune(model, photos, **given)


def test_a_learning_rate_that_is_far_too_small_is_found_out(network_message: Any, photos: Path) -> None:
    slow = cu.mark(network_message, optimizer=cu.SGD(1e-4, 1), epochs=2, layers=["head"])
    made = tuned(slow, photos, forgetting=20.0)
    result = made.result
    assert result.gain.low > 0
    assert result.after.personal > result.before.personal
    assert result.chosen != result.defaults
    assert not [problem for problem in cu.check(made.model) if problem.severity == "error"]
    parameters = made.model.parameters
    assert parameters["learningRate"].default == pytest.approx(result.chosen["learningRate"])
    assert parameters["epochs"].default == result.chosen["epochs"]
    assert parameters["miniBatchSize"].default == result.chosen["miniBatchSize"]
    low, high = parameters["learningRate"].range
    assert low < result.chosen["learningRate"] < high
    rows = [{"point": around((0,) * 6, 1, 3)[0].astype(np.float32)}]
    assert made.model.predict(rows) == slow.predict(rows)
    assert tuned(slow, photos, forgetting=20.0).result == result


def test_the_bound_holds_for_those_it_was_chosen_on(network_message: Any, photos: Path) -> None:
    bounds = [tuned(load(network_message), photos, forgetting=bound).result for bound in (0.5, 30.0)]
    assert bounds[0].after.mean <= bounds[1].after.mean + 0.02
    assert {"learningRate", "epochs"} <= {key for one in bounds[1].around for key in one.values}


def test_a_k_nn_is_tuned_too(knn_message: Any, photos: Path) -> None:
    made = tuned(load(knn_message), photos, budget=6)
    assert made.model.parameters["numberOfNeighbors"].default == made.result.chosen["numberOfNeighbors"]
    assert made.model.labels == load(knn_message).labels


def test_tuning_and_test_owners_share_no_picture(network_message: Any, photos: Path) -> None:
    halves = [
        prepare([("m", load(network_message))], photos, Population(), Settings(shots=(0, 5), half=half)).lab.world.split
        for half in (0, 1)
    ]
    rows = [
        set(np.concatenate([*split.owners.values(), split.test, split.unknown, split.reference]).tolist())
        for split in halves
    ]
    assert not rows[0] & rows[1]
    assert min(map(len, rows)) > 100


def test_a_recipe_keeps_all_but_its_values(tmp_path: Path) -> None:
    import tomllib

    path = tmp_path / "recipe.toml"
    path.write_text(
        'name = "A"\n\n[update]  # how\noptimizer = "adam"\nlearning_rate = 0.1  # guessed\nseed = 3\n\n[knn]\nk = 1\n'
    )
    values = {"optimizer": "sgd", "learningRate": 0.025, "epochs": 7, "miniBatchSize": 4, "momentum": 0.5}
    write_tuned(path, values)
    text = path.read_text()
    found = tomllib.loads(text)
    assert found["update"]["learning_rate"]["default"] == 0.025
    assert found["update"]["epochs"]["range"][0] <= 7 <= found["update"]["epochs"]["range"][1]
    assert (found["name"], found["update"]["seed"], found["knn"]["k"]) == ("A", 3, 1)
    assert "# guessed" in text
    write_tuned(path, {"numberOfNeighbors": 5, "weighting": "uniform"})
    assert tomllib.loads(path.read_text())["knn"]["number_of_neighbors"]["default"] == 5
    path.write_text("[update]\nlearning_rate = {\n")
    with pytest.raises(RecipeError, match=r"recipe\.toml"):
        write_tuned(path, values)
