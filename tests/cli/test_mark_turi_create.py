"""Files that Turi Create exported (see turi_create/README.md), put through the command and an update."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coreml_updatable.checking import check
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import read_model, write_model
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.network import last_member, network_of
from coreml_updatable.spec.storage import weight_count, weight_fields
from coreml_updatable.spec.weights import packed
from coreml_updatable.updating import UpdateTask
from coreml_updatable.updating.assumptions import Assumptions
from tests.cli.conftest import Run

FILES = Path(__file__).parent / "turi_create"
ANSWERS: dict[str, Any] = json.loads((FILES / "answers.json").read_text(encoding="utf-8"))
OPTIONS = ["--learning-rate", "0.05", "--epochs", "1:1..100", "--mini-batch", "4:1,4", "--json"]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_logistic_classifier(run: Run, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out.mlmodel"
    ran = run("mark", FILES / f"{name}.mlmodel", "-o", out, *OPTIONS)
    assert ran.status == 0, ran.err
    output = json.loads(ran.out)
    assert output["repairs"] == ["glmClassifier became innerProduct and softmax, with the same predictions"]
    assert (output["updatable"], output["warnings"]) == (["fc"], [])
    assert run("check", out).status == 0
    model = read_model(out)
    assert model.specificationVersion == 4
    answer = load(model).predict(ANSWERS[name]["rows"])
    spread = str(model.description.predictedProbabilitiesName)
    said = [list(item[spread].values()) for item in answer]
    np.testing.assert_allclose(said, ANSWERS[name]["probabilities"], atol=1e-6)
    label = str(model.description.predictedFeatureName)
    labels = list(answer[0][spread])
    learns(out, [{**row, label: labels[n % len(labels)]} for n, row in enumerate(ANSWERS[name]["rows"])], ["fc"])


@pytest.mark.parametrize(("last", "trained"), [(1, ["drawing_dense1"]), (2, ["drawing_dense0", "drawing_dense1"])])
def test_a_drawing_classifier(run: Run, tmp_path: Path, last: int, trained: list[str]) -> None:
    given, out = tmp_path / "given.mlmodel", tmp_path / "out.mlmodel"
    given.write_bytes(gzip.decompress((FILES / "drawing.mlmodel.gz").read_bytes()))
    assert read_model(given).specificationVersion == 1
    ran = run("mark", given, "-o", out, "--last", last, *OPTIONS)
    assert ran.status == 0, ran.err
    output = json.loads(ran.out)
    assert (output["updatable"], output["repairs"], output["warnings"]) == (trained, [], [])
    assert run("check", out).status == 0
    drawings = {"level": line(0.0), "slope": line(1.0)}
    assert {name: load(out).predict({"drawing": picture})["label"] for name, picture in drawings.items()} == {
        "level": "level",
        "slope": "slope",
    }
    other = {"level": "slope", "slope": "level"}
    learns(out, [{"drawing": picture, "label": other[name]} for name, picture in drawings.items()], trained)


def test_an_activity_classifier_with_its_recurrent_layer(run: Run, tmp_path: Path) -> None:
    given, out = tmp_path / "given.mlmodel", tmp_path / "out.mlmodel"
    model = Model_pb2.Model.FromString(gzip.decompress((FILES / "activity.mlmodel.gz").read_bytes()))
    fill(model)
    write_model(model, given)
    ran = run("mark", given, "-o", out, "--last", 3, *OPTIONS)
    assert ran.status == 0, ran.err
    output = json.loads(ran.out)
    assert output["updatable"] == ["lstm", "dense0", "dense1"]
    assert output["repairs"][0].startswith("layers[9] 'bn': batchnorm was folded into layers[8] 'dense0'")
    assert output["largest_difference"] < 1e-5
    assert [problem.severity for problem in check(out) if problem.severity == "error"] == []
    random = np.random.default_rng(1)
    rows = [
        {"x": random.normal(size=10), "y": random.normal(size=10), "stateIn": random.normal(size=400), "label": label}
        for label in ("run", "sit", "walk") * 2
    ]
    learns(out, rows, output["updatable"], epochs=4)
    ran = run("mark", given, "-o", out, "--last", 4)
    assert ran.status == 1
    assert "layers[4] 'hiddenIn' (slice) blocks the gradient" in ran.err


def learns(path: Path, rows: list[dict[str, Any]], trained: list[str], epochs: int = 20) -> None:
    """The loss falls, and the layers that are said to be trained change."""
    mean = Assumptions(epoch_loss="mean over rows")  # the last mini-batch alone may be an easy or a hard one
    short, longer = (UpdateTask(path, rows, {"epochs": count}, assumptions=mean).resume() for count in (1, epochs))
    assert longer.metrics["lossValue"] < short.metrics["lossValue"]
    before, after = (network_of(last_member(model)).layers for model in (read_model(path), longer.model.message))
    assert [str(old.name) for old, new in zip(before, after, strict=True) if old != new] == trained


def line(slope: float) -> Image.Image:
    """A thick line through the middle, white on black."""
    y, x = np.mgrid[:28, :28] - 13.5
    inside = (np.abs(y - slope * x) < 2) & (np.abs(x) < 10)
    return Image.fromarray((inside * 255).astype(np.uint8))


def fill(model: Model) -> None:
    random = np.random.default_rng(0)
    for layer in network_of(model).layers:
        for name, weights in weight_fields(layer):
            values = random.normal(size=weight_count(weights)) / 15
            weights.ClearField("floatValue")
            weights.MergeFromString(packed(np.abs(values) + 0.1 if name == "variance" else values))
