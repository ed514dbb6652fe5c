"""An image classifier of Turi Create on a SqueezeNet of random weights: Apple's own is a download.

What is proved is that a real training and export arrive whole, whatever the weights are; not how well they see.
"""

import json
from pathlib import Path

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
CLASSES = ["blue", "green", "red"]
TRAINED, TESTED, SIDE = 18, 9, 227


def photos(count: int, seed: int) -> npt.NDArray[np.uint8]:
    """Noise around blue, green and red, in turn: no picture is symmetric, so that a channel mistaken would be seen."""
    generator = np.random.default_rng(seed)
    base = np.array([[60, 90, 200], [50, 190, 70], [210, 80, 40]])[np.arange(count) % 3]
    coarse = generator.integers(-50, 50, (count, 8, 8, 3)).repeat(29, axis=1).repeat(29, axis=2)[:, :SIDE, :SIDE]
    pixels: npt.NDArray[np.uint8] = np.clip(base[:, None, None] + coarse, 0, 255).astype(np.uint8)
    return pixels


@pytest.fixture(scope="module")
def saved(pretrained: Path, train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    labels = np.array(CLASSES)[np.arange(TRAINED) % 3]
    np.savez(folder / "pictures", train=photos(TRAINED, 0), labels=labels, test=photos(TESTED, 1))
    arguments = (folder / "pictures.npz", folder / "saved.model", folder / "answers.json")
    train("train_pictures.py", *arguments, kind="photo", cache=pretrained.parent)
    return folder


def test_it_answers_as_turi_create_does_and_learns(
    saved: Path, pretrained: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURICREATE_PRETRAINED", str(pretrained))
    out = saved / "out.mlmodel"
    ran = run("convert", saved / "saved.model", "-o", out, "--json")
    assert ran.status == 0, ran.err
    report = json.loads(ran.out)
    assert (report["updatable"], report["facts"]) == (["fullyconnected0"], {"kind": "image classifier"})
    assert report["largest_difference"] <= 1e-4
    assert not check(out)
    answers, model = json.loads((saved / "answers.json").read_text()), load(out)
    rows = [{"photo": picture} for picture in photos(TESTED, 1)]
    assert answers["classes"] == CLASSES
    np.testing.assert_allclose(probabilities(model, rows, CLASSES), answers["probabilities"], atol=1e-4)
    assert [answer["label"] for answer in model.predict(rows)] == answers["labels"]
    training = [{**row, "label": "green"} for row in rows]
    learned = UpdateTask(out, training, parameters={"epochs": 5, "learningRate": 0.01}).resume().model
    assert loss_of(learned, training, CLASSES) < loss_of(model, training, CLASSES)


def test_a_pretrained_network_that_is_missing(
    saved: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURICREATE_PRETRAINED", str(tmp_path))
    ran = run("convert", saved / "saved.model", "-o", tmp_path / "out.mlmodel")
    assert ran.status == 1
    name = "squeezenet_v1.1-TuriCreate-6.0.h5"
    assert f"needs the pretrained network {name}, which is missing; download https://docs-assets.deve" in ran.err
    assert ran.err.endswith(f"/turicreate/models/{name} and put it at {tmp_path}/{name}\n")
