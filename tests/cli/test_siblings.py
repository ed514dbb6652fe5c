"""`siblings`: what it refuses before an engine is asked. What engines do is tested by `make test-siblings`."""

from pathlib import Path

import pytest

from coreml_updatable.spec.io import write_model
from tests.broken_models.valid import nearest_neighbors
from tests.cli.conftest import Run
from tests.siblings import models


@pytest.mark.parametrize("engines", ["tflite", "onnxruntime,tflite", ",", ""])
def test_engines_are_named(run: Run, tmp_path: Path, engines: str) -> None:
    write_model(models.sgd(), tmp_path / "m.mlmodel")
    ran = run("siblings", tmp_path / "m.mlmodel", "-o", tmp_path / "out", "--to", engines)
    assert ran.status == 2
    assert "onnxruntime, executorch" in ran.err


def test_a_model_without_siblings_is_named(run: Run, tmp_path: Path) -> None:
    write_model(nearest_neighbors(), tmp_path / "m.mlmodel")
    ran = run("siblings", tmp_path / "m.mlmodel", "-o", tmp_path / "out")
    assert ran.status == 1
    assert "m.mlmodel" in ran.err
    assert not (tmp_path / "out").exists()


def test_an_engine_that_is_not_set_up_names_its_target(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(models.sgd(), tmp_path / "m.mlmodel")
    for engine, variable, target in (
        ("onnxruntime", "ONNXRUNTIME_TRAINING_PYTHON", "make ort"),
        ("executorch", "EXECUTORCH_PYTHON", "make executorch"),
    ):
        monkeypatch.setenv(variable, str(tmp_path / "none"))
        ran = run("siblings", tmp_path / "m.mlmodel", "-o", tmp_path / "out", "--to", engine)
        assert ran.status == 1
        assert target in ran.err


def test_samples_without_rows_are_named(run: Run, tmp_path: Path) -> None:
    write_model(models.pictures(), tmp_path / "m.mlmodel")
    (tmp_path / "empty").mkdir()
    ran = run("siblings", tmp_path / "m.mlmodel", "-o", tmp_path / "out", "--samples", tmp_path / "empty")
    assert ran.status == 1
    assert "empty" in ran.err


@pytest.mark.parametrize("out", ["rows.json", "rows.json/inside", "folder"])
def test_a_file_in_the_place_of_the_folder_is_refused_before_an_engine_is_asked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.setenv("ONNXRUNTIME_TRAINING_PYTHON", str(tmp_path / "none"))
    write_model(models.sgd(), tmp_path / "m.mlmodel")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "rows.json", tmp_path / "folder" / "onnxruntime"):
        path.write_text("mine")
    ran = run("siblings", tmp_path / "m.mlmodel", "-o", tmp_path / out, "--to", "onnxruntime")
    assert ran.status == 1
    assert "expected a folder" in ran.err
    assert (tmp_path / "rows.json").read_text() == (tmp_path / "folder" / "onnxruntime").read_text() == "mine"
