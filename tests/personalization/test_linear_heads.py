"""Many owners' linear heads at once against a loop in torch, and against UpdateTask itself."""

from typing import Any

import numpy as np
import pytest
import torch

import coreml_updatable as cu
from coreml_updatable.personalization.linear_heads import batches, train_in_span, train_weights
from coreml_updatable.updating import Assumptions, UpdateTask
from coreml_updatable.updating.network import LinearHead
from coreml_updatable.updating.task import LinearLayer
from coreml_updatable.updating.training import train
from tests.broken_models.valid import classifier

OWNERS, ROWS, SIZE, CLASSES = 4, 7, 20, 3
SGD = {"learningRate": 0.3, "momentum": 0.0, "epochs": 4, "miniBatchSize": 3, "shuffle": True, "seed": 5}
ADAM = {**SGD, "learningRate": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


def problem(dtype: Any) -> tuple[LinearLayer, Any, Any]:
    random = np.random.default_rng(3)
    layer = LinearLayer(
        random.normal(size=(CLASSES, SIZE)).astype(dtype) / 4,
        random.normal(size=CLASSES).astype(dtype),
        ("weights", "bias"),
        "sgdOptimizer",
    )
    rows = random.normal(size=(OWNERS, ROWS, SIZE)).astype(dtype)
    return layer, rows, random.integers(0, CLASSES, (OWNERS, ROWS))


def by_torch(layer: LinearLayer, rows: Any, targets: Any, parameters: Any, assumptions: Assumptions, adam: bool) -> Any:
    """The change of each owner's weights and bias [K, D + 1], in double precision, by autograd and torch.optim."""
    result = []
    for x, t in zip(torch.from_numpy(rows.astype(np.float64)), torch.from_numpy(targets), strict=True):
        head = torch.nn.Linear(SIZE, CLASSES).double()
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(layer.weights))
            head.bias.copy_(torch.from_numpy(layer.bias))
        start = torch.cat([head.weight, head.bias[:, None]], 1).detach().clone()
        rate = parameters["learningRate"]
        trained = [head.get_parameter({"weights": "weight", "bias": "bias"}[name]) for name in layer.trained]
        optimizer: Any = (
            torch.optim.Adam(trained, lr=rate, betas=(0.9, 0.999), eps=1e-8)
            if adam
            else torch.optim.SGD(trained, lr=rate, momentum=parameters["momentum"])
        )
        for _, batch in batches(ROWS, parameters, assumptions):
            optimizer.zero_grad()
            reduction = assumptions.gradient
            torch.nn.functional.cross_entropy(head(x[batch]), t[batch], reduction=reduction).backward()
            optimizer.step()
        result.append((torch.cat([head.weight, head.bias[:, None]], 1) - start).detach().numpy())
    return np.stack(result)


def changed(layer: LinearLayer, rows: Any, coefficients: Any) -> Any:
    weights = coefficients.swapaxes(1, 2) @ rows * ("weights" in layer.trained)
    bias = coefficients.sum(1)[..., None] * ("bias" in layer.trained)
    return np.concatenate([weights, bias], axis=2)


def in_span(layer: LinearLayer, rows: Any, targets: Any, parameters: Any, assumptions: Assumptions) -> Any:
    coefficients = train_in_span(layer.products(rows, rows), layer.logits(rows), targets, parameters, assumptions)
    return changed(layer, rows, coefficients)


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("size", [1, 3, 7, 20])
@pytest.mark.parametrize("trained", [("weights", "bias"), ("bias",), ("weights",)])
def test_sgd_is_that_of_torch(dtype: Any, bound: float, momentum: float, size: int, trained: Any) -> None:
    layer, rows, targets = problem(dtype)
    layer = LinearLayer(layer.weights, layer.bias, trained, layer.optimizer)
    parameters = {**SGD, "momentum": momentum, "miniBatchSize": size, "learningRate": 0.3 if momentum == 0 else 0.05}
    for assumptions in (Assumptions(), Assumptions(last_mini_batch="drop", shuffled="mini-batches", gradient="sum")):
        expected = by_torch(layer, rows, targets, parameters, assumptions, adam=False)
        actual = in_span(layer, rows, targets, parameters, assumptions)
        assert np.abs(actual - expected).max() <= bound * np.abs(expected).max()
        velocity = Assumptions(
            **{**vars(assumptions), "momentum": "velocity"}
        )  # the same while the learning rate stays as it is
        assert (
            np.abs(in_span(layer, rows, targets, parameters, velocity) - expected).max()
            <= bound * np.abs(expected).max()
        )


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-10), (np.float32, 1e-4)])
@pytest.mark.parametrize("size", [1, 3, 20])
def test_adam_is_that_of_torch(dtype: Any, bound: float, size: int) -> None:
    layer, rows, targets = problem(dtype)
    parameters = {**ADAM, "miniBatchSize": size}
    expected = by_torch(layer, rows, targets, parameters, Assumptions(), adam=True)
    actual = train_weights(layer, rows, targets, parameters, Assumptions())
    assert np.abs(actual - expected).max() <= bound * np.abs(expected).max()


class UpdateTasks:
    """What UpdateTask trains of one owner, ``train`` below, in the dtype of the arrays."""

    optimizer = "adamOptimizer"

    def __init__(self, layer: LinearLayer, x: Any, targets: Any) -> None:
        self.before = layer
        self.parts = {"weights": layer.weights.copy(), "bias": layer.bias.copy()}
        self.weights = [self.parts[name] for name in layer.trained]
        self.head = LinearHead(x, targets, self.parts["weights"], self.parts["bias"], layer.trained)

    def change(self) -> Any:
        weights = self.parts["weights"] - self.before.weights
        bias = self.parts["bias"] - self.before.bias
        return np.concatenate([weights, bias[:, None]], axis=1)


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-10), (np.float32, 1e-4)])
@pytest.mark.parametrize("trained", [("weights", "bias"), ("bias",), ("weights",)])
@pytest.mark.parametrize("bias", ["corrected", "uncorrected"])
@pytest.mark.parametrize("eps", ["outside", "inside", "scaled"])
def test_adam_is_that_of_update_task(dtype: Any, bound: float, trained: Any, bias: Any, eps: Any) -> None:
    layer, rows, targets = problem(dtype)
    layer = LinearLayer(layer.weights, layer.bias, trained, "adamOptimizer")
    assumptions = Assumptions(adam_bias=bias, adam_eps=eps, gradient="sum", last_mini_batch="drop")
    parameters = {**ADAM, "eps": 1e-3}  # large enough to matter where it stands
    result = train_weights(layer, rows, targets, parameters, assumptions)
    for x, t, change in zip(rows, targets, result, strict=True):
        alone = UpdateTasks(layer, x, t)
        train(alone, ROWS, parameters, assumptions, lambda _event, _metrics: True)
        assert np.abs(change - alone.change()).max() <= bound * np.abs(change).max()


def test_an_update_goes_on_from_the_one_before() -> None:
    """Two updates of other rows: as torch does them one after the other, momentum starting again."""
    layer, rows, targets = problem(np.float64)
    parameters = {**SGD, "momentum": 0.5}
    products, start = layer.products(rows, rows), layer.logits(rows)
    first = train_in_span(products, start, targets, parameters, Assumptions(), rows=np.arange(4))
    assert not first[:, 4:].any()
    result = train_in_span(products, start, targets, parameters, Assumptions(), first, np.arange(4, 7))
    for owner in range(OWNERS):
        change = changed(layer, rows[owner : owner + 1], first[owner : owner + 1])[0]
        later = LinearLayer(layer.weights + change[:, :-1], layer.bias + change[:, -1], layer.trained, "sgdOptimizer")
        part = slice(owner, owner + 1)
        alone = in_span(later, rows[part, 4:], targets[part, 4:], parameters, Assumptions())[0]
        assert changed(layer, rows[part], result[part])[0] - change == pytest.approx(alone, abs=1e-12)


@pytest.mark.parametrize("given", [{}, {"momentum": 0.9, "miniBatchSize": 2, "epochs": 7}, {"miniBatchSize": 6}])
def test_it_is_what_an_update_task_does(given: Any) -> None:
    """The change of the weights that UpdateTask writes into the model, from the very features that it reads."""
    from coreml_updatable.spec.network import network_of

    plain = classifier()
    plain.isUpdatable = False
    model = cu.mark(plain, optimizer=cu.SGD(0.1, cu.Int64Parameter(1, (1, 8)), cu.DoubleParameter(0.0, (0.0, 1.0))))
    random = np.random.default_rng(1)
    rows = [{"image": random.normal(size=(3, 8, 8)).astype(np.float32)} for _ in range(5)]
    target = str(model.description.predictedFeatureName)
    context = UpdateTask(
        model, [{**row, target: "abcab"[index]} for index, row in enumerate(rows)], {**given, "learningRate": 0.1}
    ).resume()
    layers = {item.name: item for item in network_of(model.message).layers}
    head = next(item for item in layers.values() if item.isUpdatable)
    blob = str(head.input[0])
    x = np.stack([np.ravel(answer[blob]) for answer in model.predict(rows, intermediate=True)])
    product = head.innerProduct
    weights = np.array(product.weights.floatValue, np.float32).reshape(product.outputChannels, -1)
    bias = np.array(product.bias.floatValue, np.float32) if product.hasBias else np.zeros(len(weights), np.float32)
    layer = LinearLayer(weights, bias, ("weights", "bias") if product.hasBias else ("weights",), "sgdOptimizer")
    actual = in_span(layer, x[None], np.array([[0, 1, 2, 0, 1]]), context.parameters, Assumptions())[0]
    after = next(item for item in network_of(context.model.message).layers if item.name == head.name).innerProduct
    expected = np.array(after.weights.floatValue).reshape(weights.shape) - weights
    assert np.abs(actual[:, :-1] - expected).max() <= 1e-5 * np.abs(expected).max()
