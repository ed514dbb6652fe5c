"""Weights after an update against torch.optim on a replica of the network."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from coreml_updatable.runtime import load
from coreml_updatable.spec.network import network_of
from coreml_updatable.updating import Assumptions, UpdateTask

LABELS = ["a", "b", "c"]


class Replica(nn.Module):
    """The network's layers as torch modules, with the file's weights; only the updatable ones have gradients."""

    def __init__(self, spec: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        for layer in network_of(spec).layers:
            kind = layer.WhichOneof("layer")
            if kind == "innerProduct":
                product = layer.innerProduct
                linear = nn.Linear(product.inputChannels, product.outputChannels)
                shape = (product.outputChannels, product.inputChannels)
                linear.weight.data = torch.tensor(product.weights.floatValue).reshape(shape)
                linear.bias.data = torch.tensor(product.bias.floatValue)
                self.layers[layer.name] = linear.requires_grad_(layer.isUpdatable)
            elif kind == "activation":
                self.layers[layer.name] = nn.Tanh() if layer.activation.HasField("tanh") else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers.values():
            x = layer(x)
        return x

    def train_on(self, rows: list[dict[str, Any]], optimizer: str, epochs: int, batch: int, **settings: Any) -> None:
        """Plain PyTorch, rows in their order."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        steps = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer](trained, **settings)
        x = torch.from_numpy(np.stack([row["x"] for row in rows]))
        if "label" in rows[0]:
            wanted = torch.tensor([LABELS.index(row["label"]) for row in rows])
        else:
            wanted = torch.from_numpy(np.stack([row["z_true"] for row in rows]))
        loss: Any = nn.functional.cross_entropy if "label" in rows[0] else nn.functional.mse_loss
        for _ in range(epochs):
            for start in range(0, len(rows), batch):
                steps.zero_grad()
                loss(self(x[start : start + batch]), wanted[start : start + batch]).backward()
                steps.step()


def assert_same_weights(message: Any, replica: Replica) -> None:
    for layer in network_of(message).layers:
        if layer.WhichOneof("layer") == "innerProduct":
            linear = replica.layers[layer.name]
            assert isinstance(linear, nn.Linear)
            for field, expected in (
                (layer.innerProduct.weights, linear.weight),
                (layer.innerProduct.bias, linear.bias),
            ):
                wanted = expected.detach().numpy().ravel()
                scale = max(1.0, float(np.abs(wanted).max()))
                assert np.abs(np.array(field.floatValue) - wanted).max() <= 1e-6 * scale


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    optimizer=st.sampled_from(["sgd", "adam"]),
    hidden=st.sampled_from([0, 4]),
    frozen=st.booleans(),
    batch=st.integers(1, 12),
    momentum=st.sampled_from([0.0, 0.9]),
    seed=st.integers(0, 999),
)
def test_cross_entropy(
    make_updatable: Any, rows: Any, optimizer: str, hidden: int, frozen: bool, batch: int, momentum: float, seed: int
) -> None:
    given_settings = {"momentum": momentum} if optimizer == "sgd" else {}
    spec = make_updatable(optimizer, hidden, seed, frozen=frozen, batch=batch, **given_settings)
    replica = Replica(spec)
    context = UpdateTask(spec, rows, {"shuffle": False, "miniBatchSize": batch}).resume()
    if optimizer == "sgd":
        replica.train_on(rows, "sgd", 3, batch, lr=0.1, momentum=momentum)
    else:
        replica.train_on(rows, "adam", 3, batch, lr=0.05, betas=(0.9, 0.99), eps=1e-3)
    assert_same_weights(context.model.message, replica)


@pytest.mark.parametrize("hidden", [0, 4])
def test_mean_squared_error(make_updatable: Any, rows: Any, hidden: int) -> None:
    spec = make_updatable("sgd", hidden, loss="squared", momentum=0.5)
    wanted = [{"x": row["x"], "z_true": np.array([1, 0, -index], np.float32)} for index, row in enumerate(rows)]
    replica = Replica(spec)
    context = UpdateTask(spec, wanted, {"shuffle": False, "learningRate": 0.01}).resume()
    replica.train_on(wanted, "sgd", 3, 4, lr=0.01, momentum=0.5)
    assert_same_weights(context.model.message, replica)


def test_an_updatable_convolution(rows: Any) -> None:
    """A 1x1 convolution head on pooled channels, as converted from torch, is trained through the graph."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from coremltools.models import datatypes
        from coremltools.models.neural_network import NeuralNetworkBuilder, SgdParams
    random = np.random.default_rng(0)
    weights, bias = random.normal(size=(3, 2, 2, 2)).astype(np.float32), np.zeros(3, np.float32)
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(2, 3, 3))], [("probs", datatypes.Array(3))], mode="classifier"
    )
    builder.add_convolution(
        "conv", 2, 3, 2, 2, 1, 1, "valid", 1, weights.transpose(2, 3, 1, 0), bias, True, input_name="x", output_name="c"
    )
    builder.add_pooling("pool", 1, 1, 1, 1, "AVERAGE", "valid", "c", "z", is_global=True)
    builder.add_softmax("softmax", "z", "probs")
    builder.set_class_labels(LABELS, "label", "probs")
    builder.make_updatable(["conv"])
    builder.set_categorical_cross_entropy_loss("loss", "probs")
    builder.set_sgd_optimizer(SgdParams(lr=0.2, batch=4, momentum=0.9))
    builder.set_epochs(2)
    x = random.normal(size=(10, 2, 3, 3)).astype(np.float32)
    learned = UpdateTask(
        builder.spec,
        [{"x": item, "label": row["label"]} for item, row in zip(x, rows, strict=True)],
        {"shuffle": False},
    ).resume()
    module = nn.Conv2d(2, 3, 2)
    module.weight.data, module.bias.data = torch.from_numpy(weights.copy()), torch.from_numpy(bias.copy())  # type: ignore[union-attr]
    steps = torch.optim.SGD(module.parameters(), lr=0.2, momentum=0.9)
    wanted = torch.tensor([LABELS.index(row["label"]) for row in rows])
    for _ in range(2):
        for start in range(0, 10, 4):
            steps.zero_grad()
            logits = module(torch.from_numpy(x[start : start + 4])).mean((2, 3))
            loss: Any = nn.functional.cross_entropy(logits, wanted[start : start + 4])
            loss.backward()
            steps.step()
    layer = learned.model.message.neuralNetworkClassifier.layers[0].convolution
    np.testing.assert_allclose(np.array(layer.weights.floatValue), module.weight.detach().numpy().ravel(), atol=1e-6)


def test_one_hot_probabilities_still_learn(make_updatable: Any, rows: Any) -> None:
    """Logits so far apart that the softmax is exactly 0: the loss stays finite, and so does its gradient."""
    spec = make_updatable()
    product = spec.neuralNetworkClassifier.layers[0].innerProduct
    product.bias.floatValue[:] = [1000, 0, -1000]
    losses = []
    task = UpdateTask(spec, rows, on_event=lambda context: losses.append(context.metrics.get("lossValue", 0.0)))
    learned = task.resume().model.message.neuralNetworkClassifier.layers[0].innerProduct
    assert np.isfinite(losses).all()
    assert max(losses) > 100
    assert learned.bias.floatValue[2] > -1000


def test_updates_go_on_from_updates(make_updatable: Any, rows: Any) -> None:
    spec = make_updatable(frozen=True)
    model = load(spec)
    frozen = model.frozen(rows)
    once = UpdateTask(model, frozen, {"shuffle": False}).resume().model
    twice = UpdateTask(once, frozen, {"shuffle": False}).resume().model
    replica = Replica(spec)
    replica.train_on(rows, "sgd", 6, 4, lr=0.1)  # without momentum two tasks are one with twice the epochs
    assert_same_weights(twice.message, replica)
    assert load(spec).predict(rows) == model.predict(rows)


def test_gradient_choices_differ_by_the_size_of_the_batch(make_updatable: Any, rows: Any) -> None:
    spec = make_updatable()
    summed = UpdateTask(spec, rows[:8], {"shuffle": False}, assumptions=Assumptions(gradient="sum")).resume()
    replica = Replica(spec)
    replica.train_on(rows[:8], "sgd", 3, 4, lr=0.4)
    assert_same_weights(summed.model.message, replica)
