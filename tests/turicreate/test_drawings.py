"""A drawing classifier that Turi Create trained on real digits: converted, checked, and learning on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from coreml_updatable.building.prove import loss_of
from coreml_updatable.checking import check
from coreml_updatable.converting.finished import probabilities
from coreml_updatable.runtime import load
from coreml_updatable.updating import UpdateTask
from tests.cli.conftest import Run
from tests.turicreate.conftest import Train

pytestmark = pytest.mark.turi
Digits = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]
WORDS = ["zero", "one", "two", "three", "four"]
TRAINED, TESTED = 250, 60


@pytest.fixture(scope="module")
def named(train: Train, digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(train, digits[0], np.array(WORDS)[digits[1]], tmp_path_factory.mktemp("named"))


@pytest.fixture(scope="module")
def numbered(train: Train, digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(train, digits[0], digits[1] + 10, tmp_path_factory.mktemp("numbered"))


def trained(train: Train, pixels: npt.NDArray[np.uint8], labels: npt.NDArray[Any], folder: Path) -> Path:
    """``folder`` with the saved model, and what it answers on digits that it never saw."""
    np.savez(folder / "pictures", train=pixels[:TRAINED], labels=labels[:TRAINED], test=pixels[-TESTED:])
    arguments = (folder / "pictures.npz", folder / "saved.model", folder / "answers.json")
    train("train_pictures.py", *arguments, kind="drawing")
    return folder


@pytest.mark.parametrize("labels", ["named", "numbered"])
def test_it_answers_as_turi_create_does_and_learns(
    labels: str, digits: Digits, run: Run, request: pytest.FixtureRequest
) -> None:
    trained = request.getfixturevalue(labels)
    out = trained / "out.mlmodel"
    ran = run("convert", trained / "saved.model", "-o", out, "--json")
    assert ran.status == 0, ran.err
    report = json.loads(ran.out)
    assert (report["converter"], report["updatable"]) == ("turicreate", ["drawing_dense1"])
    assert report["reference"] == "Turi Create's predict"
    assert report["largest_difference"] <= 1e-4
    assert report["facts"] == {"kind": "drawing classifier"}
    assert not check(out)

    pixels, numbers = digits
    answers = json.loads((trained / "answers.json").read_text())
    classes, model = answers["classes"], load(out)
    rows = [{"drawing": picture} for picture in pixels[-TESTED:]]
    np.testing.assert_allclose(probabilities(model, rows, classes), answers["probabilities"], atol=1e-4)
    assert [answer["label"] for answer in model.predict(rows)] == answers["labels"]

    right = [classes[number] if isinstance(classes[0], int) else WORDS[number] for number in numbers[-TESTED:]]
    assert np.mean(np.array(answers["labels"]) == np.array(right)) > 0.8
    training = [{**row, "label": label} for row, label in zip(rows, right, strict=True)]
    learned = UpdateTask(out, training, parameters={"epochs": 10, "learningRate": 0.01}).resume().model
    assert loss_of(learned, training, classes) < loss_of(model, training, classes)


def test_the_same_folder_gives_the_same_bytes(named: Path, run: Run) -> None:
    once, again = named / "once.mlmodel", named / "again.mlmodel"
    for out in (once, again):
        assert run("convert", named / "saved.model", "-o", out).status == 0
    assert once.read_bytes() == again.read_bytes()


def test_labels_can_be_named_anew(named: Path, run: Run) -> None:
    out = named / "named.mlmodel"
    ran = run("convert", named / "saved.model", "-o", out, "--labels", "a,b,c")
    assert ran.status == 1
    assert "labels: found 3 for a model with 5 classes" in ran.err
    ran = run("convert", named / "saved.model", "-o", out, "--labels", "a,b,c,d,e")
    assert ran.status == 0, ran.err
    assert set(load(out).predict({"drawing": np.zeros((28, 28), np.uint8)})["labelProbability"]) == set("abcde")
