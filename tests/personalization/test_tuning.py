"""Tuning: what is chosen is judged on owners that share no picture with it, and written into the model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import escape

import coreml_updatable as cu
from coreml_updatable.errors import RecipeError
from coreml_updatable.personalization.population import Population
from coreml_updatable.personalization.preparing import Settings, prepare
from coreml_updatable.personalization.results import Interval
from coreml_updatable.personalization.tuning import Trial, TuneSettings, _conclusion
from coreml_updatable.publishing.report.tune import sharpness, write_tune
from coreml_updatable.recipes.file import read_recipe
from coreml_updatable.recipes.tuned import write_tuned
from coreml_updatable.runtime import load
from coreml_updatable.spec.samples import sample_counts
from tests.personalization.conftest import around

SCENARIO = {"new_kind": {"labels": ["calm"]}}


def tuned(model: Any, photos: Path, **more: Any) -> Any:
    given = {"budget": 30, "owners": 24, "test_owners": 60, "shots": 5, "scenario": SCENARIO, **more}
    return cu.tune(model, photos, **given)


def test_a_learning_rate_that_is_far_too_small_is_found_out(network_message: Any, photos: Path) -> None:
    slow = cu.mark(network_message, optimizer=cu.SGD(1e-4, 1), epochs=2, layers=["head"])
    output = tuned(slow, photos, forgetting=20.0)
    result = output.result
    assert result.gain.low > 0
    assert result.after.personal > result.before.personal
    assert result.chosen != result.defaults
    assert not [problem for problem in cu.check(output.model) if problem.severity == "error"]
    parameters = output.model.parameters
    assert parameters["learningRate"].default == pytest.approx(result.chosen["learningRate"])
    assert parameters["epochs"].default == result.chosen["epochs"]
    assert parameters["miniBatchSize"].default == result.chosen["miniBatchSize"]
    low, high = parameters["learningRate"].range
    assert low < result.chosen["learningRate"] < high
    rows = [{"point": around((0,) * 6, 1, 3)[0].astype(np.float32)}]
    label = str(slow.message.description.predictedFeatureName)
    assert [item[label] for item in output.model.predict(rows)] == [item[label] for item in slow.predict(rows)]
    assert tuned(slow, photos, forgetting=20.0).result == result


def test_what_is_tuned_is_in_the_model(network_message: Any, knn_message: Any, photos: Path) -> None:
    """Head scale and the share of reserved labels are weights, base samples are samples: UpdateTask finds the same."""
    reserved = cu.mark(network_message, optimizer=cu.SGD(0.01, 1), epochs=2, layers=["head"], reserved=2)
    scenario = {"new_label": {"kinds": ["rapids"]}}
    result = tuned(reserved, photos, budget=16, forgetting=30.0, scenario=scenario)
    chosen = result.result.chosen
    assert {"headScale", "reservedShare"} <= set(chosen)
    rows = [{"point": point.astype(np.float32)} for point in around((0,) * 6, 20, 3)]
    names = {str(feature.name) for feature in reserved.message.description.output}
    (probabilities,) = names - {str(reserved.message.description.predictedFeatureName)}
    for before, after in zip(reserved.predict(rows), result.model.predict(rows), strict=True):
        old, new = before[probabilities], after[probabilities]
        powers = {label: old[label] ** chosen["headScale"] for label in ("calm", "wild")}
        share = new["calm"] + new["wild"]
        assert 1 - share <= chosen["reservedShare"] + 1e-6
        assert new["calm"] / share == pytest.approx(powers["calm"] / sum(powers.values()), abs=1e-4)
    knn = tuned(load(knn_message), photos, budget=12, forgetting=30.0)
    kept, most = knn.result.chosen["baseSamples"], knn.result.defaults["baseSamples"]
    assert 1 <= kept <= most
    assert max(sample_counts(knn.model.message).values()) == kept


def test_the_page_of_a_tuning_says_what_was_tried(network_message: Any, photos: Path, tmp_path: Path) -> None:
    result = tuned(load(network_message), photos, forgetting=30.0).result
    assert len(result.tried) == result.trials == 30
    assert result.best in result.tried
    write_tune(tmp_path, result)
    value = json.loads((tmp_path / "report.json").read_text())
    assert value["gain"]["low"] <= value["gain"]["mean"] <= value["gain"]["high"]
    page = (tmp_path / "report.html").read_text()
    for fact in (result.conclusion, "learningRate", f"{result.test_owners} others", sharpness(result).split(":")[0]):
        assert str(escape(fact)) in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_bound_holds_for_those_it_was_chosen_on(network_message: Any, photos: Path) -> None:
    bounds = [tuned(load(network_message), photos, forgetting=bound).result for bound in (0.5, 30.0)]
    assert bounds[0].after.mean <= bounds[1].after.mean + 0.02
    assert {"learningRate", "epochs"} <= {key for item in bounds[1].around for key in item.values}


@pytest.mark.parametrize(("forgetting", "kept"), [(0.019, True), (0.075, False)])
def test_a_bound_that_test_owners_do_not_keep_is_told(forgetting: float, kept: bool) -> None:
    defaults, best = Trial({"epochs": 1}, 0.9, 0.9, 0.09), Trial({"epochs": 2}, 0.9, 0.9, 0.01)
    after = Trial(best.values, 0.9, 0.9, forgetting)
    said = _conclusion("a", [defaults, after], Interval(-0.01, -0.03, 0.01), best, TuneSettings(forgetting=0.02))
    assert ("more than the 2" not in said) == kept


def test_a_k_nn_is_tuned_too(knn_message: Any, photos: Path) -> None:
    result = tuned(load(knn_message), photos, budget=6)
    assert result.model.parameters["numberOfNeighbors"].default == result.result.chosen["numberOfNeighbors"]
    assert result.model.labels == load(knn_message).labels


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
    result = tomllib.loads(text)
    assert result["update"]["learning_rate"]["default"] == 0.025
    assert result["update"]["epochs"]["range"][0] <= 7 <= result["update"]["epochs"]["range"][1]
    assert (result["name"], result["update"]["seed"], result["knn"]["k"]) == ("A", 3, 1)
    assert "# guessed" in text
    write_tuned(path, {"numberOfNeighbors": 5, "weighting": "uniform"})
    assert tomllib.loads(path.read_text())["knn"]["number_of_neighbors"]["default"] == 5
    path.write_text("[update]\nlearning_rate = {\n")
    with pytest.raises(RecipeError, match=r"recipe\.toml"):
        write_tuned(path, values)


def test_a_real_recipe_stays_valid_and_keeps_its_comments(tmp_path: Path) -> None:
    samples = Path(__file__).parents[2] / "sample_models"
    sgd = {
        "optimizer": "sgd",
        "learningRate": 0.025,
        "epochs": 7,
        "miniBatchSize": 4,
        "momentum": 0.5,
        "headScale": 0.5,
    }
    adam = {"optimizer": "adam", "learningRate": 0.002, "epochs": 5, "miniBatchSize": 8}
    for sample in sorted(samples.glob("*/recipe.toml")):
        before = sample.read_text(encoding="utf-8")
        if "updatable = false" in before:
            continue
        path = tmp_path / "recipe.toml"
        path.write_text(before, encoding="utf-8")
        write_tuned(path, {**sgd, **({"reservedShare": 0.02} if "[reserved_labels]" in before else {})})
        recipe, scale = read_recipe(path), read_recipe(sample).update.head_scale  # on top of which it was tuned
        assert (recipe.update.optimizer, recipe.update.epochs.default) == ("sgd", 7)
        assert recipe.update.head_scale == pytest.approx(0.5 * scale, rel=1e-3)
        assert recipe.reserved_labels is None or recipe.reserved_labels.share == 0.02
        write_tuned(path, adam)
        mixed = recipe.personalization is not None and recipe.personalization.paired_with is None
        write_tuned(path, {**adam, "replay": 4 if mixed else 0})
        again = read_recipe(path)
        assert (again.update.optimizer, again.update.learning_rate.default) == ("adam", 0.002)
        assert (again.replay.per_class if again.replay else 0) == (4 if mixed else 0)
        write_tuned(path, sgd)
        text = path.read_text(encoding="utf-8")
        comments = [line[line.index("#") :] for line in before.splitlines() if "#" in line and '"#' not in line]
        assert [comment for comment in comments if comment not in text] == []
        assert read_recipe(path).data == read_recipe(sample).data
