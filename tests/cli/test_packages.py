"""Every command that takes a model takes a package, and tells an ML program from a network."""

import warnings
from pathlib import Path

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models.utils import save_spec

from coreml_updatable.spec.io import read_model, write_model
from coreml_updatable.spec.messages import Model_pb2
from tests.cli.conftest import Run

WAY_OUT = "; convert with convert_to='neuralnetwork'"


@pytest.fixture
def package(tmp_path: Path, vector_model: Path) -> Path:
    """By coremltools."""
    save_spec(read_model(vector_model), str(tmp_path / "Vectors.mlpackage"))
    return tmp_path / "Vectors.mlpackage"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    model = Model_pb2.Model(specificationVersion=7)
    model.mlProgram.version = 1
    write_model(model, tmp_path / "program.mlmodel")
    return tmp_path / "program.mlmodel"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", np.ones((2, 4), np.float32))
    return tmp_path / "x.npy"


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    (tmp_path / "rows.json").write_text('[{"x": [1, 0, 0, 0], "label": "yes"}, {"x": [0, 1, 0, 0], "label": "no"}]')
    return tmp_path / "rows.json"


def test_commands_answer_as_for_the_file(run: Run, vector_model: Path, package: Path, rows: Path) -> None:
    for command in (("inspect", "--json"), ("predict", rows, "--json"), ("check",), ("mark", "--dry-run")):
        name, *rest = command
        from_file, from_package = run(name, vector_model, *rest), run(name, package, *rest)
        assert from_file.status == from_package.status == 0, from_package.err
        assert from_file.out.replace(str(vector_model), str(package)) == from_package.out
    assert run("diff", vector_model, package).status == 0


def test_an_update(run: Run, vector_model: Path, package: Path, labelled: Path, tmp_path: Path) -> None:
    for model, out in ((vector_model, "one.mlmodel"), (package, "two.mlmodel")):
        assert run("update", model, labelled, "-o", tmp_path / out).status == 0
    assert (tmp_path / "one.mlmodel").read_bytes() == (tmp_path / "two.mlmodel").read_bytes()


def test_no_package_is_written(run: Run, package: Path, labelled: Path, tmp_path: Path) -> None:
    in_place = run("update", package, labelled, "--in-place")
    assert in_place.status == 2
    assert "is a package, which cannot be written" in in_place.err
    assert run("update", package, labelled, "-o", tmp_path / "New.mlpackage").status == 2
    assert not (tmp_path / "New.mlpackage").exists()


def test_ml_programs_are_refused_with_the_way_out(run: Run, program: Path, rows: Path, labelled: Path) -> None:
    judged = run("check", program)
    assert judged.status == 1
    assert "ML program" in judged.out + judged.err
    for command in (
        ("mark", program, "--dry-run"),
        ("predict", program, rows),
        ("update", program, labelled, "-o", program.with_name("new.mlmodel")),
    ):
        result = run(*command)
        assert (result.status, result.out) == (1, "")
        assert "ML program" in result.err
        assert "no device can update" in result.err
        assert result.err.endswith(f"{WAY_OUT}\n")
        assert len(result.err.splitlines()) == 1
    result = run("diff", program, program)
    assert result.status == 1
    assert result.err.endswith(
        "both models are ML programs, expected networks; convert with convert_to='neuralnetwork'\n"
    )


def test_no_file_bears_the_name_of_a_package(run: Run, tmp_path: Path, package: Path) -> None:
    out = tmp_path / "out.mlpackage"
    for command in (("mark", package), ("knn", package), ("layout", package, "--to", "single")):
        ran = run(*command, "-o", out)
        assert ran.status == 2, command
        assert "packages cannot be written; choose an .mlmodel file" in ran.err, ran.err
        assert not out.exists()
