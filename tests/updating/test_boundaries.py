"""What an app may set, and what a row may want, at the values where the answer changes and one step beyond."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.spec.messages import NeuralNetwork_pb2
from coreml_updatable.spec.parameters import MAX_EPOCHS
from coreml_updatable.updating.loss import class_index, class_number, values
from coreml_updatable.updating.parameters import Parameters, of_network, unset_of_network

NEXT, BEFORE = math.nextafter(1, 2), math.nextafter(0, -1)
ADAM, SGD = "adamOptimizer", "sgdOptimizer"


def parameters(optimizer: str, scope: str | None = None, bounds: Mapping[str, Any] | None = None) -> Parameters:
    """Those of an updatable network: a pair bounds a parameter, a list says its choices."""
    update = NeuralNetwork_pb2.NetworkUpdateParameters()
    getattr(update.optimizer, optimizer).SetInParent()
    messages = of_network(update)
    for name in ("epochs", "miniBatchSize"):
        messages[name].defaultValue = 1
    for name, allowed in (bounds or {}).items():
        message = messages[name]
        if isinstance(allowed, list):
            message.set.values.extend(allowed)
            message.defaultValue = allowed[0]
        else:
            message.range.minValue, message.range.maxValue = allowed
            message.defaultValue = allowed[0]
    return Parameters(messages, scope, unset_of_network(update))


FITTING: list[tuple[str, str, Any]] = [
    (SGD, "learningRate", 0),
    (SGD, "learningRate", 1e9),
    (SGD, "momentum", 0),
    (SGD, "momentum", 1),
    (ADAM, "beta1", 0),
    (ADAM, "beta2", math.nextafter(1, 0)),
    (ADAM, "eps", 0),
    (SGD, "epochs", 1),
    (SGD, "epochs", MAX_EPOCHS + 1),  # as many as an app wants
    (SGD, "epochs", 2.0),
    (SGD, "epochs", np.int64(3)),
    (SGD, "miniBatchSize", 1),
    (SGD, "seed", 0),
    (SGD, "seed", -1),
    (SGD, "shuffle", True),
    (SGD, "shuffle", False),
    (SGD, "shuffle", 0),
    (SGD, "shuffle", np.bool_(True)),
    (SGD, "learningRate", np.float32(0.5)),
]


@pytest.mark.parametrize(("optimizer", "key", "value"), FITTING)
def test_what_an_app_may_set(optimizer: str, key: str, value: Any) -> None:
    known = parameters(optimizer)
    known.set({key: value})
    known.expect_sensible()
    kind = bool if key == "shuffle" else int if key in ("epochs", "miniBatchSize", "seed") else float
    assert type(known.values[key]) is kind
    assert known.values[key] == value


REFUSED: list[tuple[str, str, Any]] = [
    (SGD, "learningRate", BEFORE),
    (SGD, "learningRate", math.nan),
    (SGD, "learningRate", math.inf),
    (SGD, "learningRate", True),
    (SGD, "learningRate", "0.1"),
    (SGD, "learningRate", None),
    (SGD, "momentum", BEFORE),
    (SGD, "momentum", NEXT),
    (ADAM, "beta1", BEFORE),
    (ADAM, "beta1", 1),
    (ADAM, "beta2", 1),
    (ADAM, "beta2", BEFORE),
    (ADAM, "eps", BEFORE),
    (SGD, "epochs", 0),
    (SGD, "epochs", 1.5),
    (SGD, "miniBatchSize", 0),
    (SGD, "seed", 0.5),
    (SGD, "shuffle", 2),
    (SGD, "shuffle", "yes"),
    (SGD, "beta1", 0.5),  # Adam's
    (ADAM, "momentum", 0.5),  # SGD's
    (SGD, "weights", 1),
    (SGD, "biases", 1),
    (SGD, "linkedModelFileName", 1),
]


@pytest.mark.parametrize(("optimizer", "key", "value"), REFUSED)
def test_what_an_app_may_not_set(optimizer: str, key: str, value: Any) -> None:
    def use() -> None:
        known = parameters(optimizer)
        known.set({key: value})
        known.expect_sensible()

    with pytest.raises(ModelError, match=f"parameter '{key}'"):
        use()


@pytest.mark.parametrize("key", ["learningRate", "epochs"])
def test_bounds_belong_to_a_range_and_choices_to_a_set(key: str) -> None:
    known = parameters(SGD, bounds={key: (2, 4)})
    for value in (2, 3, 4):
        known.set({key: value})
    for value in (1, 5):
        with pytest.raises(ModelError, match="expected a value from 2 to 4"):
            known.set({key: value})
        assert known.values[key] == 4  # it stays
    known = parameters(SGD, bounds={"epochs": [2, 5]})
    known.set({"epochs": 5})
    for value in (3, 4, 6):
        with pytest.raises(ModelError, match="one of 2, 5"):
            known.set({"epochs": value})


def test_nothing_is_set_where_one_value_is_refused() -> None:
    known = parameters(SGD)
    with pytest.raises(ModelError, match="momentum"):
        known.set({"learningRate": 0.5, "momentum": math.nan})
    assert known.values["learningRate"] == 0


@pytest.mark.parametrize(("epochs", "sensible"), [(MAX_EPOCHS, True), (MAX_EPOCHS + 1, False)])
def test_a_default_of_many_epochs(epochs: int, sensible: bool) -> None:
    known = parameters(SGD, bounds={"epochs": [epochs]})
    if sensible:
        known.expect_sensible()
        return
    with pytest.raises(ModelError, match=f"the model's default: epochs is {epochs}"):
        known.expect_sensible()
    known.set({"epochs": epochs})
    known.expect_sensible()  # an app asked for as many


def test_scopes_of_a_pipeline() -> None:
    known = parameters(SGD, "model1")
    known.set({"model1.epochs": 3, "miniBatchSize": 2})
    assert (known.values["epochs"], known.values["miniBatchSize"]) == (3, 2)
    with pytest.raises(ModelError, match=r"the scope 'model1'; write 'model1\.epochs'"):
        known.set({"model0.epochs": 3})
    with pytest.raises(ModelError, match=r"is not a pipeline; write 'epochs'"):
        parameters(SGD).set({"model1.epochs": 3})


def test_without_a_seed_there_is_none() -> None:
    update = NeuralNetwork_pb2.NetworkUpdateParameters()
    assert unset_of_network(update) == {"seed"}
    assert "seed" not in parameters(SGD).values
    update.seed.SetInParent()
    assert unset_of_network(update) == set()
    with pytest.raises(ModelError, match="has no optimizer"):
        of_network(update)


@pytest.mark.parametrize(
    ("value", "index"),
    [(0, 0), (2, 2), (2.0, 2), ([1], 1), (np.array([[1.0]]), 1), (np.float32(1), 1), (True, 1)],
)
def test_a_class_is_one_integer_below_their_number(value: Any, index: int) -> None:
    assert class_index(value, 3, "class", 0) == index


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (3, ModelError),
        (-1, ModelError),
        (1.5, DataError),
        ("1", DataError),
        (math.nan, DataError),
        (math.inf, DataError),
        ([1, 2], DataError),
        ([], DataError),
        (None, DataError),
        (10**400, DataError),
    ],
)
def test_what_is_no_class(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="row 7: 'class'"):
        class_index(value, 3, "class", 7)


def test_labels_by_their_place() -> None:
    assert [class_number(label, ["a", "b", "c"], "label", 0) for label in "abc"] == [0, 1, 2]
    assert class_number(5, [7, 5], "label", 0) == 1
    many = [f"label{index}" for index in range(9)]
    for labels, more in ((many[:8], False), (many, True)):
        with pytest.raises(ModelError, match="row 4: 'label' is 'z'") as error:
            class_number("z", labels, "label", 4)
        assert ("..." in str(error.value)) == more


def test_wanted_values() -> None:
    result = values([[1, 2], [3, 4]], 4, "y", 0)
    assert result.dtype == np.float32
    assert result.tolist() == [1, 2, 3, 4]
    wrong: list[Any] = [[1, 2, 3], [1] * 5, "text", None, {}]
    wrong += [[1, 2, 3, number] for number in (math.inf, math.nan, 1e39)]
    for given in wrong:
        with pytest.raises(DataError, match="row 2: 'y'"):
            values(given, 4, "y", 2)
