"""The package's own names: lazy, complete, and quick to import."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import coreml_updatable
import coreml_updatable as cu
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, UpdateSettings
from tests.broken_models.valid import classifier


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = "import sys, coreml_updatable; print(*{'torch', 'numpy', 'coremltools', 'pydantic'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found.strip() == ""


def test_every_name_is_there() -> None:
    assert {name: getattr(coreml_updatable, name) for name in dir(coreml_updatable)}.keys() == set(
        coreml_updatable.__all__
    )
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        coreml_updatable.nothing  # noqa: B018


def test_the_walk_of_the_design(tmp_path: Path) -> None:
    """mark, check, load, predict, update, write: as docs/design.md shows it."""
    plain = classifier()
    plain.isUpdatable = False
    rate, momentum = DoubleParameter(0.1, (0, 1)), DoubleParameter(0.0, (0, 1))
    settings = UpdateSettings(SGD(rate, Int64Parameter(2, (1, 8)), momentum), Int64Parameter(3, (1, 9)))
    marked = cu.mark(plain, settings, last=1)
    assert not [problem for problem in cu.check(marked) if problem.severity == "error"]
    path = tmp_path / "marked.mlmodel"
    path.write_bytes(marked.SerializeToString())
    random = np.random.default_rng(0)
    rows: list[dict[str, Any]] = [{"image": random.normal(size=(3, 8, 8)).astype(np.float32)} for _ in range(4)]
    assert len(cu.load(path).predict(rows)) == len(rows)
    labelled = [{**row, plain.description.predictedFeatureName: "abca"[number]} for number, row in enumerate(rows)]
    events: list[str] = []
    task = cu.UpdateTask(path, labelled, parameters={"epochs": 2}, on_event=lambda event: events.append(event.event))
    context = task.resume()
    assert events[0] == "trainingBegin"
    assert np.isfinite(context.metrics["lossValue"])
    context.write(tmp_path / "new.mlmodel")
    assert cu.load(tmp_path / "new.mlmodel").predict(rows[0]) == context.model.predict(rows[0])
    marked.description.predictedFeatureName = "nothing"
    assert any(isinstance(problem, cu.Problem) for problem in cu.check(marked))
    marked.neuralNetworkClassifier.layers[0].input[0] = "nothing"
    with pytest.raises(cu.ModelError):
        cu.load(marked)
