"""`predict` and `update` say which output cannot hold what its layer gives."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from coreml_updatable.spec.io import write_model
from coreml_updatable.spec.messages import Model
from tests.broken_models.graph import probabilities_as_whole_numbers
from tests.broken_models.other_models import in_a_pipeline
from tests.cli.conftest import Run


def alone(model: Model) -> Model:
    return model


@pytest.mark.parametrize("wrap", [alone, in_a_pipeline])
def test_predict_says_so(run: Run, tmp_path: Path, wrap: Callable[[Model], Model]) -> None:
    model = probabilities_as_whole_numbers()
    model.isUpdatable = False
    write_model(wrap(model), tmp_path / "m.mlmodel")
    (tmp_path / "row.json").write_text(json.dumps({"x": [0.1] * 5}))
    ran = run("predict", tmp_path / "m.mlmodel", tmp_path / "row.json")
    assert ran.status == 0
    assert "'y'" in ran.err
    assert "Int32" in ran.err


def test_update_says_so(run: Run, tmp_path: Path) -> None:
    write_model(probabilities_as_whole_numbers(), tmp_path / "m.mlmodel")
    (tmp_path / "rows.json").write_text(json.dumps([{"x": [0.1] * 5, "y_true": [0.5, 0.5]}]))
    ran = run("update", tmp_path / "m.mlmodel", tmp_path / "rows.json", "-o", tmp_path / "new.mlmodel")
    assert ran.status == 0
    assert "'y'" in ran.err
    assert "Int32" in ran.err
