"""Logistic and nearest-neighbours classifiers that Turi Create trained on rows of every kind of feature."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.building.prove import loss_of
from coreml_updatable.checking import check
from coreml_updatable.converting.finished import probabilities
from coreml_updatable.marking import sample_counts
from coreml_updatable.runtime import load
from coreml_updatable.updating import UpdateTask
from tests.cli.conftest import Run
from tests.turicreate.conftest import Train

pytestmark = pytest.mark.turi
TRAINED, TESTED = 240, 40


def table(count: int, seed: int) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    width, whole = generator.normal(size=count), generator.integers(0, 9, count)
    score = width + whole / 3 + generator.normal(size=count) / 2
    return {
        "width": width.tolist(),
        "count": whole.tolist(),
        "colour": generator.choice(["red", "green", "blue"], count).tolist(),
        "sides": generator.normal(size=(count, 3)).tolist(),
        "long": generator.normal(size=(count, 250)).tolist(),
        "tags": [{"a": float(a), "b": float(b)} for a, b in generator.normal(size=(count, 2))],
        "label": np.array(["few", "more", "many"])[np.digitize(score, [1, 2])].tolist(),
        "number": (7 - 3 * (score > 1.5)).tolist(),
    }


@pytest.fixture(scope="module")
def folder(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "table.json").write_text(json.dumps({"train": table(TRAINED, 0), "test": table(TESTED, 1)}))
    train("train_tables.py", folder / "table.json", folder)
    return folder


def rows_for(model: Any) -> list[Mapping[str, Any]]:
    """The test rows, as an app gives them: an array where the model has an array."""
    columns = table(TESTED, 1)
    names = [str(feature.name) for feature in model.message.description.input]
    return [{name: fitting(columns[name][row]) for name in names} for row in range(TESTED)]


def fitting(value: Any) -> Any:
    return np.array(value) if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["logistic", "numbers"])
def test_a_logistic_classifier_answers_as_before_and_learns(folder: Path, run: Run, name: str) -> None:
    out = folder / f"{name}.mlmodel"
    ran = run("convert", folder / f"{name}.model", "-o", out, "--json")
    assert ran.status == 0, ran.err
    report = json.loads(ran.out)
    assert (report["converter"], report["updatable"]) == ("turicreate", ["fc"])
    assert report["facts"] == {"kind": "logistic classifier"}
    assert not check(out)
    answers, model = json.loads((folder / f"{name}.json").read_text()), load(out)
    rows = rows_for(model)
    np.testing.assert_allclose(probabilities(model, rows, answers["classes"]), answers["answers"], atol=1e-5)
    target = str(model.message.description.predictedFeatureName)
    assert [answer[target] for answer in model.predict(rows)] == answers["labels"]
    training = [{**row, target: answers["classes"][0]} for row in rows]
    learned = UpdateTask(out, training, parameters={"epochs": 20}).resume().model
    assert loss_of(learned, training, answers["classes"]) < loss_of(model, training, answers["classes"])


@pytest.mark.parametrize(
    ("name", "method"), [("neighbors", "ball_tree"), ("single", "ball_tree"), ("wide", "brute_force")]
)
def test_nearest_neighbours_are_carried_over_and_learn(folder: Path, run: Run, name: str, method: str) -> None:
    out = folder / f"{name}.mlmodel"
    ran = run("convert", folder / f"{name}.model", "-o", out, "--json")
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["updatable"] == []
    assert not check(out)
    answers, model = json.loads((folder / f"{name}.json").read_text()), load(out)
    assert answers["method"] == method
    rows = rows_for(model)
    np.testing.assert_allclose(probabilities(model, rows, answers["classes"]), answers["answers"], atol=1e-6)
    given = table(TRAINED, 0)["number" if name == "single" else "label"]
    assert sample_counts(model.message) == {label: given.count(label) for label in answers["classes"]}
    new = answers["classes"][0]
    context = UpdateTask(out, [{**row, "label": new} for row in rows]).resume()
    assert sample_counts(context.model.message)[new] == given.count(new) + TESTED


def test_rows_that_are_there_twice_keep_all_their_labels(folder: Path, run: Run) -> None:
    ran = run("convert", folder / "twice.model", "-o", folder / "twice.mlmodel")
    assert ran.status == 0, ran.err
    assert "no row was compared" in ran.out
    assert not check(folder / "twice.mlmodel")
    counts, given = json.loads((folder / "twice.json").read_text()), table(TRAINED, 0)["label"]
    model = load(folder / "twice.mlmodel")
    assert sample_counts(model.message) == {label: given.count(label) for label in counts["classes"]}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("text", "text.model: stores text or dictionaries, expected numbers and arrays; train it on these"),
        (
            "cosine",
            "measures by cosine, but Core ML has only the Euclidean distance; train it with distance='euclidean'",
        ),
    ],
)
def test_what_core_ml_cannot_measure(folder: Path, run: Run, name: str, sentence: str) -> None:
    ran = run("convert", folder / f"{name}.model", "-o", folder / "out.mlmodel")
    assert (ran.status, sentence in ran.err) == (1, True), ran.err


def test_labels_can_be_named_anew(folder: Path, run: Run) -> None:
    ran = run("convert", folder / "single.model", "-o", folder / "out.mlmodel", "--labels", "a,b")
    assert ran.status == 0, ran.err
    assert set(sample_counts(load(folder / "out.mlmodel").message)) == {"a", "b"}
    ran = run("convert", folder / "single.model", "-o", folder / "out.mlmodel", "--labels", "a,b,c")
    assert (ran.status, "labels: found 3 for a model with 2 classes" in ran.err) == (1, True), ran.err
