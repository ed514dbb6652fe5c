"""The task itself: events, states, parameters, what is written back, what is refused."""

import re
from typing import Any

import numpy as np
import pytest

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import Model_pb2
from coreml_updatable.spec.network import network_of
from coreml_updatable.updating import Assumptions, UpdateContext, UpdateTask
from coreml_updatable.updating.training import Order


def copied(spec: Any) -> Any:
    copy = Model_pb2.Model()
    copy.CopyFrom(spec)
    return copy


def test_events_and_their_metrics(make_updatable: Any, rows: Any) -> None:
    contexts: list[UpdateContext] = []
    task = UpdateTask(make_updatable(), rows, {"miniBatchSize": 4}, on_event=contexts.append)
    assert task.state == "suspended"
    final = task.resume()
    assert task.state == "completed"
    assert final.event == "completed"
    events = [(context.event, *map(context.metrics.get, ("epochIndex", "miniBatchIndex"))) for context in contexts]
    epoch = [("miniBatchEnd", 0), ("miniBatchEnd", 1), ("miniBatchEnd", 2), ("epochEnd", None)]
    assert events == [
        ("trainingBegin", None, None),
        *((name, index, number) for index in range(3) for name, number in epoch),
    ]
    losses = [context.metrics["lossValue"] for context in contexts[1:4]]
    assert contexts[4].metrics["lossValue"] == losses[-1]
    assert contexts[-1].metrics["lossValue"] < contexts[1].metrics["lossValue"]
    with pytest.raises(ModelError, match="task: is completed"):
        task.resume()


@pytest.mark.parametrize(
    ("choice", "weights"),
    [("mean over rows", [4, 4, 2]), ("mean over batches", [1, 1, 1]), ("last batch", [0, 0, 1])],
)
def test_epoch_loss_choices(make_updatable: Any, rows: Any, choice: Any, weights: list[int]) -> None:
    losses: list[float] = []
    UpdateTask(
        make_updatable(), rows, assumptions=Assumptions(epoch_loss=choice),
        on_event=lambda context: losses.append(context.metrics.get("lossValue", 0.0)),
    ).resume()  # fmt: skip
    assert losses[4] == pytest.approx(np.average(losses[1:4], weights=weights))


def test_a_handler_may_change_the_learning_rate(make_updatable: Any, rows: Any) -> None:
    spec = make_updatable()
    biases: list[Any] = []

    def freeze(context: UpdateContext) -> None:
        if context.event == "epochEnd":
            biases.append(list(network_of(context.model.message).layers[0].innerProduct.bias.floatValue))
            context.task.resume({"learningRate": 0.0})

    UpdateTask(spec, rows, on_event=freeze).resume()
    assert biases[0] == biases[1] == biases[2]
    assert biases[0] != list(network_of(spec).layers[0].innerProduct.bias.floatValue)


def test_cancel(make_updatable: Any, rows: Any) -> None:
    seen: list[str] = []

    def stop(context: UpdateContext) -> None:
        seen.append(context.event)
        context.task.cancel()

    task = UpdateTask(make_updatable(), rows, on_event=stop)
    assert task.resume().event == "cancelled"
    assert seen == ["trainingBegin"]
    assert task.state == "cancelling"


def test_only_updatable_weights_change(make_updatable: Any, rows: Any, tmp_path: Any) -> None:
    spec = make_updatable(frozen=True)
    before = copied(spec)
    context = UpdateTask(spec, rows).resume()
    context.write(tmp_path / "new.mlmodel")
    assert spec == before
    written = load(tmp_path / "new.mlmodel")
    after = copied(written.message)
    assert after != before
    layers, old = network_of(after).layers, network_of(before).layers
    for field in ("weights", "bias"):
        getattr(layers[2].innerProduct, field).floatValue[:] = getattr(old[2].innerProduct, field).floatValue
    assert after == before
    whole = [{"x": row["x"]} for row in rows]
    assert [answer["label"] for answer in written.predict(whole)] == [
        answer["label"] for answer in context.model.predict(whole)
    ]


def test_a_frozen_layer_of_the_same_name_stays(make_updatable: Any, rows: Any) -> None:
    spec = make_updatable(hidden=3)
    first, _, second = network_of(spec).layers[:3]
    first.name, second.name, second.isUpdatable = "twice", "twice", False
    before = copied(spec)
    context = UpdateTask(spec, rows).resume()
    after = network_of(context.model.message).layers
    assert after[2] == network_of(before).layers[2]
    assert after[0] != network_of(before).layers[0]
    one = {"x": rows[0]["x"]}
    assert context.model.predict(one) == load(context.model.message).predict(one)


def test_frozen_rows_and_whole_rows_learn_alike(make_updatable: Any, rows: Any) -> None:
    model = load(make_updatable(frozen=True))
    frozen = [row.with_features(label="c") for row in model.frozen([{"x": row["x"]} for row in rows])]
    whole = [{**row, "label": "c"} for row in rows]
    first, second = (UpdateTask(model, given).resume().model for given in (frozen, (row for row in whole)))
    assert first.message == second.message
    assert first.predict(frozen) == first.predict(whole)


def test_seeds_and_choices_of_the_order(make_updatable: Any, rows: Any) -> None:
    def bias(seed: int, **choices: Any) -> Any:
        context = UpdateTask(make_updatable(), rows, {"seed": seed}, assumptions=Assumptions(**choices)).resume()
        return list(network_of(context.model.message).layers[0].innerProduct.bias.floatValue)

    assert bias(1) == bias(1)
    assert len({tuple(bias(*given)) for given in ((1,), (2,))}) == 2
    assert bias(1) != bias(1, generator="MT19937")
    assert bias(1) != bias(1, first_epoch="in order")
    assert bias(1) != bias(1, last_mini_batch="drop")


def _mini_batches(rows: int, size: int, *, epoch: int = 0, seed: int | None = 3, **choices: Any) -> list[list[int]]:
    order = Order(rows, seed, True, Assumptions(**choices))
    result = [[batch.tolist() for batch in order.epoch(index, size)] for index in range(epoch + 1)]
    return result[-1]


@pytest.mark.parametrize("rows", [1, 2, 6, 7])
def test_mini_batches_may_change_places_as_they_are(rows: int) -> None:
    whole = [list(range(start, min(start + 3, rows))) for start in range(0, rows, 3)]
    seen = [_mini_batches(rows, 3, seed=seed, shuffled="mini-batches") for seed in range(30)]
    assert all(sorted(found) == whole for found in seen)
    assert len({str(found) for found in seen}) == {1: 1, 2: 1, 6: 2, 7: 6}[rows]
    full = [batch for batch in whole if len(batch) == 3] or whole
    dropping = _mini_batches(rows, 3, shuffled="mini-batches", last_mini_batch="drop")
    assert sorted(dropping) == full
    in_order: dict[str, Any] = {"shuffled": "mini-batches", "first_epoch": "in order"}
    assert _mini_batches(rows, 3, **in_order) == whole
    assert sorted(_mini_batches(rows, 3, epoch=1, **in_order)) == whole


def test_without_a_seed_updates_agree_or_do_not(make_updatable: Any, rows: Any) -> None:
    def bias(choice: Any, **parameters: Any) -> list[float]:
        context = UpdateTask(make_updatable(), rows, parameters, assumptions=Assumptions(no_seed=choice)).resume()
        assert ("seed" in context.parameters) == ("seed" in parameters)
        return list(network_of(context.model.message).layers[0].innerProduct.bias.floatValue)

    assert not network_of(make_updatable()).updateParams.HasField("seed")
    assert len({tuple(bias("one order")) for _ in range(3)}) == 1
    assert bias("one order") == bias("one order", seed=0)
    assert len({tuple(bias("new order")) for _ in range(8)}) > 1
    assert bias("new order", seed=5) == bias("new order", seed=5) == bias("one order", seed=5)


def test_a_seed_in_the_model_is_one_that_is_set(make_updatable: Any, rows: Any) -> None:
    spec = make_updatable()
    network_of(spec).updateParams.seed.defaultValue = 0
    result = [
        UpdateTask(spec, rows, assumptions=Assumptions(no_seed="new order")).resume().model.message for _ in range(2)
    ]
    assert result[0] == result[1]


def test_parameters_are_held_to_the_model(make_updatable: Any, rows: Any) -> None:
    spec = make_updatable()
    optimizer = network_of(spec).updateParams.optimizer.sgdOptimizer
    optimizer.learningRate.range.minValue, optimizer.learningRate.range.maxValue = 0.01, 0.5
    optimizer.miniBatchSize.ClearField("range")
    optimizer.miniBatchSize.set.values[:] = [4, 8]
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"learningRate": 0.9}, "parameter 'learningRate': learningRate is 0.9, expected a value from 0.01 to 0.5"),
        ({"miniBatchSize": 5}, "miniBatchSize is 5, expected one of 4, 8"),
        ({"miniBatchSize": 4.5}, "miniBatchSize is 4.5, expected an integer"),
        ({"epochs": "3"}, "epochs is '3', expected a number"),
        (
            {"beta1": 0.5},
            "Unknown parameter 'beta1'; the parameters are epochs, learningRate, miniBatchSize, momentum, seed",
        ),
        ({"shuffle": 3}, "shuffle is 3, expected true or false"),
        ({"model1.epochs": 3}, "parameter 'model1.epochs': the model has no scopes"),
        ({"weights": 3}, "an update does not apply weights given as parameters"),
    )
    for given, message in cases:
        with pytest.raises(ModelError, match=re.escape(message)):
            UpdateTask(spec, rows, given)
    numpy: dict[str, Any] = {"learningRate": np.float32(0.25), "miniBatchSize": np.int64(8)}
    plain = {key: value.item() for key, value in numpy.items()}
    first, second = (UpdateTask(spec, rows, given).resume() for given in (numpy, plain))
    assert first.model.message == second.model.message
    optimizer.learningRate.defaultValue = 0.9
    with pytest.raises(ModelError, match=r"the model's default: learningRate is 0\.9"):
        UpdateTask(spec, rows)


def test_decays_of_adam_are_less_than_1(make_updatable: Any, rows: Any) -> None:
    spec = make_updatable()
    adam = network_of(spec).updateParams.optimizer.adamOptimizer
    adam.learningRate.defaultValue, adam.miniBatchSize.defaultValue, adam.eps.defaultValue = 0.1, 4, 1e-8
    adam.miniBatchSize.range.minValue, adam.miniBatchSize.range.maxValue = 1, 8
    for beta in (adam.beta1, adam.beta2):
        beta.defaultValue, beta.range.minValue, beta.range.maxValue = 0.9, 0.0, 1.0
    for key in ("beta1", "beta2"):
        with pytest.raises(
            ModelError, match=f"parameter '{key}': {key} is 1.0, expected 0 or more and less than 1, because Adam"
        ):
            UpdateTask(spec, rows, {key: 1.0})
    adam.beta2.defaultValue = 1.0
    with pytest.raises(ModelError, match=r"the model's default: beta2 is 1.0, expected 0 or more and less than 1"):
        UpdateTask(spec, rows)


def test_rows_that_cannot_be_learned(make_updatable: Any, rows: Any) -> None:
    spec = make_updatable()
    for given, error, message in (
        ([], DataError, "found no rows"),
        ([{"x": rows[0]["x"]}], DataError, "row 0: the target 'label' is missing"),
        ([{**rows[0], "label": "d"}], ModelError, "row 0: 'label' is 'd', expected one of 'a', 'b', 'c'; only a k-NN"),
        ([{**rows[0], "x": [np.nan] * 6}], DataError, "row 0: feature 'x': is NaN"),
        ([*rows[:1] * 100, {**rows[0], "x": [np.nan] * 6}], DataError, "row 100: feature 'x': is NaN"),
    ):
        task = UpdateTask(spec, given)
        with pytest.raises(error, match=message):
            task.resume()
        assert task.state == "failed"
    squared = make_updatable(loss="squared")
    for wanted, message in (
        ([1, 2], "has 2 values, but the network has 3 outputs"),
        ("text", "is a str, expected 3 numbers"),
    ):
        with pytest.raises(DataError, match=message):
            UpdateTask(squared, [{"x": rows[0]["x"], "z_true": wanted}]).resume()


def test_models_that_cannot_be_updated(make_updatable: Any, rows: Any) -> None:
    def changed(change: Any) -> Any:
        spec = make_updatable()
        change(spec, network_of(spec))
        return spec

    for change, message in (
        (lambda spec, _: spec.ClearField("isUpdatable"), "model: is not updatable; mark it first"),
        (lambda _, network: network.layers[0].ClearField("isUpdatable"), "has no updatable layer"),
        (lambda _, network: network.updateParams.lossLayers.add(), "has 2 loss layers, expected 1"),
        (lambda _, network: network.updateParams.ClearField("optimizer"), "has no optimizer"),
        (
            lambda _, network: network.layers[1].MergeFrom(type(network.layers[1])(isUpdatable=True)),
            "cannot be updated",
        ),
        (
            lambda _, network: network.updateParams.lossLayers[0].categoricalCrossEntropyLossLayer.ClearField("input"),
            "is not the output of a trainable softmax",
        ),
    ):
        with pytest.raises(ModelError, match=message):
            UpdateTask(changed(change), rows).resume()

    def half(_: Any, network: Any) -> None:
        weights = network.layers[0].innerProduct.weights
        weights.float16Value = np.array(weights.floatValue, np.float16).tobytes()
        weights.ClearField("floatValue")

    with pytest.raises(ModelError, match="layer 'fc2': weights are float16, but an update needs float32"):
        UpdateTask(changed(half), rows).resume()


@pytest.mark.parametrize("wanted", [np.nan, np.inf, 1.5, "1", None, [0, 1], [[1], [2, 3]]])
def test_a_class_that_is_no_number(make_updatable: Any, rows: Any, wanted: Any) -> None:
    """The target as a class number: what the builder makes if the labels are set after the loss."""
    spec = make_updatable()
    spec.description.trainingInput[1].name = "class"
    spec.description.trainingInput[1].type.int64Type.SetInParent()
    network_of(spec).updateParams.lossLayers[0].categoricalCrossEntropyLossLayer.target = "class"
    numbered = [{"x": row["x"], "class": "abc".index(row["label"])} for row in rows]
    by_number = UpdateTask(spec, numbered).resume().model.message
    assert network_of(by_number).layers == network_of(UpdateTask(make_updatable(), rows).resume().model.message).layers
    with pytest.raises(DataError, match=r"row 0: 'class' is .*, expected the class index, an integer"):
        UpdateTask(spec, [{**numbered[0], "class": wanted}]).resume()


def test_what_diverges_says_so_by_its_loss(make_updatable: Any, rows: Any) -> None:
    spec = make_updatable(loss="squared")
    network_of(spec).updateParams.optimizer.sgdOptimizer.learningRate.ClearField("range")
    given = [{"x": row["x"], "z_true": np.ones(3)} for row in rows]
    context = UpdateTask(spec, given, {"learningRate": 1e30}).resume()
    assert not np.isfinite(context.metrics["lossValue"])
