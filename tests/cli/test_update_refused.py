"""`update` that cannot be: said in a sentence, and nothing written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.spec.io import read_model, write_model
from tests.cli.conftest import Run, noise
from tests.cli.test_update import ROW


def test_the_model_is_not_overwritten_by_accident(run: Run, vector_model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps({"x": [1, 0, 0, 0], "label": "yes"}))
    before = vector_model.read_bytes()
    for target in (vector_model, tmp_path / "photos" / ".." / vector_model.name):
        ran = run("update", vector_model, tmp_path / "rows.json", "-o", target)
        assert ran.status == 2
        assert "is MODEL itself" in ran.err
    assert vector_model.read_bytes() == before


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-o", "a.mlmodel", "--in-place"],
        ["-o", "/"],
        ["-o", "a.mlmodel", "--parameter", "epochs"],
        ["-o", "a.mlmodel", "--parameter", "epochs=many"],
        ["-o", "a.mlmodel", "--assume", "gradient=median"],
        ["-o", "a.mlmodel", "--epochs", "many"],
    ],
)
def test_wrong_usage(run: Run, vector_model: Path, tmp_path: Path, options: list[str]) -> None:
    ran = run("update", vector_model, tmp_path, *options)
    assert ran.status == 2
    assert ran.out == ""


@pytest.mark.parametrize(
    ("row", "options", "sentence"),
    [
        ({**ROW, "label": "maybe"}, [], "rows.json[1]: 'label' is 'maybe', expected one of 'no', 'yes'"),
        ({**ROW, "x": [1, 2, 3]}, [], "rows.json[1]: feature 'x': has the shape [3], but the model expects [4]"),
        ({**ROW, "x": [1, 2, float("nan"), 4]}, [], "rows.json[1]: feature 'x': is NaN at [2]"),
        ({"x": [1, 2, 3, 4]}, [], "rows.json[1]: the target 'label' is missing"),
        ({"label": "yes"}, [], "rows.json[1]: feature 'x' is missing; the model reads 'x'"),
        ({**ROW, "y": 1}, [], "rows.json[1]: the model has no feature 'y'"),
        (ROW, ["--epochs", 7], "parameter 'epochs': epochs is 7, expected one of 1, 2, 3, 10"),
        (ROW, ["--neighbors", 3], "Unknown parameter 'numberOfNeighbors'; the parameters are epochs, "),
        (ROW, ["--parameter", "model0.epochs=2"], "parameter 'model0.epochs': the model has no scopes"),
        (ROW, ["--parameter", "momentum=nan"], "parameter 'momentum': momentum is nan, expected a number"),
    ],
)
def test_what_is_refused_is_said_and_nothing_written(
    run: Run, vector_model: Path, tmp_path: Path, row: dict[str, Any], options: list[Any], sentence: str
) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([ROW, row]))
    ran = run("update", vector_model, tmp_path / "rows.json", "-o", tmp_path / "new.mlmodel", *options)
    assert ran.status == 1
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "new.mlmodel").exists()


def test_rows_far_down_are_named_too(run: Run, vector_model: Path, tmp_path: Path) -> None:
    for fault, sentence in (({"x": [1]}, "has the shape [1]"), ({"label": "maybe"}, "'label' is 'maybe'")):
        rows = [*([ROW] * 150), {**ROW, **fault}]
        (tmp_path / "rows.json").write_text(json.dumps(rows))
        ran = run("update", vector_model, tmp_path / "rows.json", "-o", tmp_path / "new.mlmodel")
        assert f"rows.json[150]: {'feature' if 'x' in fault else ''}" in ran.err
        assert sentence in ran.err


def test_neighbours_refuse_vectors_of_another_rank(run: Run, neighbor_model: Path, tmp_path: Path) -> None:
    for x in ([[1, 2, 3, 4]], 5, [1, 2, 3, 4, 5]):
        (tmp_path / "rows.json").write_text(json.dumps({"x": x, "label": "new"}))
        ran = run("update", neighbor_model, tmp_path / "rows.json", "-o", tmp_path / "new.mlmodel")
        assert ran.status == 1
        assert f"feature 'x': has the shape {list(np.shape(x))}, but the model expects [4]; reshape it" in ran.err


def test_a_loss_that_is_not_finite_is_not_written(run: Run, vector_model: Path, tmp_path: Path) -> None:
    model = read_model(vector_model)
    model.neuralNetworkClassifier.updateParams.optimizer.sgdOptimizer.learningRate.range.maxValue = 1e40
    write_model(model, vector_model)
    (tmp_path / "rows.json").write_text(json.dumps([ROW, {**ROW, "label": "no"}]))
    options = ["--learning-rate", "1e38", "--epochs", 10, "--mini-batch-size", 1]
    with np.errstate(all="ignore"):
        ran = run("update", vector_model, tmp_path / "rows.json", "-o", tmp_path / "new.mlmodel", *options)
    assert ran.status == 1
    assert "nothing was written; lower the learning rate" in ran.err
    assert not (tmp_path / "new.mlmodel").exists()


def test_a_damaged_photo_stops_the_update(run: Run, picture_model: Path, photos: Path, tmp_path: Path) -> None:
    broken = photos / "red" / "broken.png"
    broken.write_bytes((photos / "red" / "d.png").read_bytes()[:100])
    ran = run("update", picture_model, photos, "-o", tmp_path / "new.mlmodel")
    assert ran.status == 1
    assert ran.err.startswith(f"coreml-updatable: {broken}: ")
    assert not (tmp_path / "new.mlmodel").exists()


def test_a_folder_with_an_unknown_label(run: Run, picture_model: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "purple").mkdir()
    noise(7).save(photos / "purple" / "f.png")
    ran = run("update", picture_model, photos, "-o", tmp_path / "new.mlmodel")
    assert ran.status == 1
    assert f"{photos / 'purple' / 'f.png'}: 'label' is 'purple', expected one of 'blue', 'green', 'red'" in ran.err


def test_a_folder_without_class_folders(run: Run, picture_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    noise(1).save(folder / "a.png")
    ran = run("update", picture_model, folder, "-o", tmp_path / "new.mlmodel")
    assert f"{folder}: contains no folders with pictures; make one folder per label" in ran.err


def test_a_model_that_is_not_updatable(run: Run, vector_model: Path, tmp_path: Path) -> None:
    model = read_model(vector_model)
    model.isUpdatable = False
    write_model(model, vector_model)
    (tmp_path / "rows.json").write_text(json.dumps(ROW))
    ran = run("update", vector_model, tmp_path / "rows.json", "-o", tmp_path / "new.mlmodel")
    assert (ran.status, ran.err) == (1, f"coreml-updatable: {vector_model}: is not updatable; mark it first\n")
