"""Parameters that can train nothing, and defaults that never end, are refused before the first step."""

from typing import Any

import numpy as np
import pytest

from coreml_updatable.checking import check
from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.marking import mark
from coreml_updatable.marking.settings import SGD, UpdateSettings
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import Model
from coreml_updatable.updating import UpdateTask
from tests.broken_models import valid

ROWS = [{"image": np.full((3, 8, 8), 0.5, np.float32), "label": label} for label in "abc"]


def unbounded(**values: float) -> Model:
    """A classifier whose parameters have these defaults and no bounds."""
    model = valid.classifier()
    update = model.neuralNetworkClassifier.updateParams
    sgd = update.optimizer.sgdOptimizer
    fields = {"learningRate": sgd.learningRate, "momentum": sgd.momentum, "epochs": update.epochs}
    for field in fields.values():
        default = field.defaultValue
        field.Clear()
        field.defaultValue = default
    for name, value in values.items():
        fields[name].defaultValue = value
    return model


def rows(model: Model) -> list[dict[str, Any]]:
    names = [str(feature.name) for feature in model.description.trainingInput]
    return [dict(zip(names, row.values(), strict=True)) for row in ROWS]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"learningRate": -1.0}, "learningRate is -1, expected 0 or more"),
        ({"momentum": -0.5}, "momentum is -0.5, expected 0 or more"),
        ({"momentum": 1.5}, "momentum is 1.5, expected at most 1"),
        ({"epochs": 10**9}, "epochs is 1000000000, expected at most 10000.*--epochs"),
    ],
)
def test_defaults(values: dict[str, float], fault: str) -> None:
    model = unbounded(**values)
    with pytest.raises(ModelError, match=f"the model's default: {fault}"):
        UpdateTask(model, rows(model)).resume()


def test_an_app_may_set_what_the_default_lacks() -> None:
    model = unbounded(epochs=10**9, learningRate=-1.0)
    context = UpdateTask(model, rows(model), {"epochs": 2, "learningRate": 0.1}).resume()
    assert context.metrics["epochIndex"] == 1


@pytest.mark.parametrize(("key", "value"), [("learningRate", -1.0), ("momentum", -0.5), ("momentum", 2.0)])
def test_what_an_app_sets(key: str, value: float) -> None:
    model = unbounded()
    with pytest.raises(ModelError, match=f"parameter '{key}': {key} is"):
        UpdateTask(model, rows(model), {key: value}).resume()


def test_many_epochs_are_done_where_they_are_asked_for() -> None:
    model = unbounded()
    seen: list[int] = []

    def stop(context: Any) -> None:
        seen.append(int(context.parameters["epochs"]))
        context.task.cancel()

    UpdateTask(model, rows(model), {"epochs": 20_000}, stop).resume()
    assert seen[0] == 20_000


def test_check_and_mark_name_it_too() -> None:
    assert any("1000000000" in problem.found for problem in check(unbounded(epochs=10**9)))
    assert any("-1" in problem.found for problem in check(unbounded(learningRate=-1.0)))
    with pytest.raises(ModelError, match="epochs: the default is 1000000000, expected at most 10000"):
        mark(valid.classifier(), UpdateSettings(epochs=10**9))
    with pytest.raises(ModelError, match="learningRate: the default is -1, expected more than 0"):
        mark(valid.classifier(), UpdateSettings(SGD(learning_rate=-1.0)))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 3e38])
def test_rows_that_have_no_label(value: float) -> None:
    """Numbers that make NaN of a softmax: no label, whatever argmax says; the row is named."""
    model = valid.classifier()
    good = rows(model)[0]
    name = str(model.description.input[0].name)
    given = {name: good[name]}
    bad = {name: np.full_like(good[name], value)}
    with pytest.raises(DataError, match=r"row 1: the model returned NaN as a probability"):
        load(model).predict([given, bad])
