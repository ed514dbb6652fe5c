"""Every kind of layer that an update trains, and frozen layers behind it, against torch.optim and numeric gradients."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime import load
from coreml_updatable.runtime.engine.program import build_steps
from coreml_updatable.spec.network import network_of
from coreml_updatable.updating import Assumptions, UpdateTask
from coreml_updatable.updating.network import GraphHead
from tests.updating.test_gradients import assert_gradients

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models import datatypes
    from coremltools.models.neural_network import AdamParams, NeuralNetworkBuilder, SgdParams

LABELS = ["a", "b", "c"]
EPOCHS, BATCH = 4, 3
GATES = ("inputGate", "forgetGate", "blockInput", "outputGate")  # torch: input, forget, cell, output


def updatable(
    add: Callable[[Any], None],
    shape: tuple[int, ...],
    layers: list[str],
    optimizer: str,
    loss: str,
    *,
    exact: bool = False,
    epochs: int = EPOCHS,
) -> Any:
    """A network x -> z; with cross entropy, a classifier by the softmax of z. ``exact``: the input keeps its rank."""
    classifies = loss == "cross entropy"
    output = "probs" if classifies else "z"
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(*shape))],
        [(output, datatypes.Array(3))],
        mode="classifier" if classifies else None,
        disable_rank5_shape_mapping=exact,
    )
    add(builder)
    if classifies:
        builder.add_softmax("softmax", "z", "probs")
        builder.set_class_labels(LABELS, "label", "probs")
    builder.make_updatable([layer for layer in layers if layer != "lstm"])
    if classifies:
        builder.set_categorical_cross_entropy_loss("loss", "probs")
    else:
        builder.set_mean_squared_error_loss("loss", ("z", datatypes.Array(3)))
    if optimizer == "sgd":
        builder.set_sgd_optimizer(SgdParams(lr=0.05, batch=BATCH, momentum=0.8))
    else:
        builder.set_adam_optimizer(AdamParams(lr=0.01, batch=BATCH, beta1=0.8, beta2=0.95, eps=1e-4))
    builder.set_epochs(epochs)
    if "lstm" in layers:  # coremltools' make_updatable knows no recurrent layer
        layer = next(layer for layer in network_of(builder.spec).layers if layer.name == "lstm")
        builder.spec.isUpdatable = layer.isUpdatable = True
        for field, weights in layer.uniDirectionalLSTM.weightParams.ListFields():
            weights.isUpdatable = not field.name.endswith("PeepholeVector")
    return builder.spec


def train(module: nn.Module, x: Any, wanted: Any, optimizer: str) -> None:
    """Plain PyTorch, rows in their order."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    steps: Any = (
        torch.optim.SGD(trained, lr=0.05, momentum=0.8)
        if optimizer == "sgd"
        else torch.optim.Adam(trained, lr=0.01, betas=(0.8, 0.95), eps=1e-4)
    )
    loss: Any = functional.cross_entropy if wanted.dtype == np.int64 else functional.mse_loss
    for _ in range(EPOCHS):
        for start in range(0, len(x), BATCH):
            steps.zero_grad()
            batch = slice(start, start + BATCH)
            loss(module(torch.from_numpy(x[batch])), torch.from_numpy(wanted[batch])).backward()
            steps.step()


def learned(spec: Any, x: Any, wanted: Any) -> dict[str, Any]:
    """The layers of the updated model by name."""
    if wanted.dtype == np.int64:
        rows = [{"x": item, "label": LABELS[number]} for item, number in zip(x, wanted, strict=True)]
    else:
        rows = [{"x": item, "z_true": values} for item, values in zip(x, wanted, strict=True)]
    message = UpdateTask(spec, rows, {"shuffle": False}).resume().model.message
    return {layer.name: layer for layer in network_of(message).layers}


def assert_weights(weights: Any, expected: Tensor) -> None:
    wanted = expected.detach().numpy().ravel()
    assert np.abs(np.array(weights.floatValue) - wanted).max() <= 1e-6 * max(1.0, float(np.abs(wanted).max()))


def targets(loss: str, rows: int) -> Any:
    random = np.random.default_rng(3)
    wanted = random.normal(size=(rows, 3)).astype(np.float32)
    return random.integers(0, 3, rows) if loss == "cross entropy" else wanted


class Middle(nn.Module):
    """Frozen, trained, frozen (normalized), trained, frozen."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.front = nn.Conv2d(2, 4, 3).requires_grad_(False)
        self.middle = nn.Conv2d(4, 4, 3, 2, 1, groups=2)
        self.norm = nn.BatchNorm2d(4).requires_grad_(False).eval()
        self.norm.running_mean, self.norm.running_var = torch.rand(4), torch.rand(4) + 0.5
        self.hidden = nn.Linear(4, 5)
        self.back = nn.Linear(5, 3).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.front(x))
        y = functional.relu(self.norm(self.middle(y))).mean((2, 3))
        z: Tensor = self.back(torch.sigmoid(self.hidden(y)))
        return z

    def add_to(self, builder: Any) -> None:
        for name, conv, source, target in (("front", self.front, "x", "f"), ("middle", self.middle, "g", "h")):
            weights = conv.weight.detach().numpy().transpose(2, 3, 1, 0)
            stride, padding = conv.stride[0], conv.padding[0]
            builder.add_convolution(
                name, weights.shape[2], 4, 3, 3, stride, stride, "valid", conv.groups, weights,
                conv.bias.detach().numpy(), True, input_name=source, output_name=target,  # type: ignore[union-attr]
                padding_top=padding, padding_bottom=padding, padding_left=padding, padding_right=padding,
            )  # fmt: skip
            if name == "front":
                builder.add_activation("tanh", "TANH", "f", "g")
        norm = self.norm
        values = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
        builder.add_batchnorm(
            "norm", 4, *(value.detach().numpy() for value in values if value is not None), input_name="h",
            output_name="i", epsilon=norm.eps,
        )  # fmt: skip
        builder.add_activation("relu", "RELU", "i", "j")
        builder.add_pooling("pool", 1, 1, 1, 1, "AVERAGE", "valid", "j", "k", is_global=True)
        for name, linear, source, target in (("hidden", self.hidden, "k", "l"), ("back", self.back, "m", "z")):
            weights, bias = linear.weight.detach().numpy(), linear.bias.detach().numpy()
            builder.add_inner_product(name, weights, bias, *weights.shape[::-1], True, source, target)
            if name == "hidden":
                builder.add_activation("sigmoid", "SIGMOID", "l", "m")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("loss", ["cross entropy", "squared"])
def test_a_convolution_in_the_middle_and_frozen_layers_behind_it(optimizer: str, loss: str) -> None:
    module = Middle()
    spec = updatable(module.add_to, (2, 7, 7), ["middle", "hidden"], optimizer, loss)
    x, wanted = np.random.default_rng(1).normal(size=(8, 2, 7, 7)).astype(np.float32), targets(loss, 8)
    layers = learned(spec, x, wanted)
    train(module, x, wanted, optimizer)
    for layer, trained in (
        (layers["middle"].convolution, module.middle),
        (layers["hidden"].innerProduct, module.hidden),
    ):
        assert_weights(layer.weights, trained.weight)
        assert_weights(layer.bias, trained.bias)  # type: ignore[arg-type]
    for name in ("front", "norm", "back"):
        assert layers[name] == next(layer for layer in network_of(spec).layers if layer.name == name)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm, self.back = nn.LSTM(4, 5), nn.Linear(5, 3).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """x [batch, Seq, 4]: the last step's output decides."""
        z: Tensor = self.back(self.lstm(x.transpose(0, 1))[0][-1])
        return z

    def add_to(self, builder: Any) -> None:
        lstm: Any = self.lstm
        # coremltools' order of gates is input, forget, output, cell.
        chunks = [parameter.detach().chunk(4) for parameter in (lstm.weight_hh_l0, lstm.weight_ih_l0, lstm.bias_ih_l0)]
        recursion, weights, bias = ([part[at].numpy() for at in (0, 1, 3, 2)] for part in chunks)
        builder.add_unilstm("lstm", recursion, weights, bias, 5, 4, ["x"], ["y"])
        matrix, offset = self.back.weight.detach().numpy(), self.back.bias.detach().numpy()
        builder.add_inner_product("back", matrix, offset, 5, 3, True, "y", "z")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("loss", ["cross entropy", "squared"])
def test_lstm(optimizer: str, loss: str) -> None:
    module: Any = Recurrent()
    module.lstm.bias_hh_l0.data.zero_()
    module.lstm.bias_hh_l0.requires_grad_(False)  # the format has one bias a gate
    spec = updatable(module.add_to, (4,), ["lstm"], optimizer, loss)
    x, wanted = np.random.default_rng(2).normal(size=(7, 6, 4)).astype(np.float32), targets(loss, 7)
    params = learned(spec, x[:, :, None], wanted)["lstm"].uniDirectionalLSTM.weightParams
    train(module, x, wanted, optimizer)
    for suffix, trained in (
        ("WeightMatrix", module.lstm.weight_ih_l0),
        ("RecursionMatrix", module.lstm.weight_hh_l0),
        ("BiasVector", module.lstm.bias_ih_l0),
    ):
        for gate, expected in zip(GATES, trained.chunk(4), strict=True):
            assert_weights(getattr(params, gate + suffix), expected)


@pytest.mark.parametrize("squared", ["", "mean"])
def test_numeric_gradients_of_an_lstm(squared: str) -> None:
    spec = updatable(Recurrent().add_to, (4,), ["lstm"], "sgd", "cross entropy")
    steps = build_steps(network_of(spec).layers)[:-1]
    for step in steps:
        step.module.double()
    parameters = list(steps[0].module.parameters())
    random = np.random.default_rng(4)
    x = random.normal(size=(5, 3, 1, 4, 1, 1))
    wanted = random.normal(size=(5, 3)) if squared else random.integers(0, 3, 5)
    head = GraphHead({"x": x}, wanted, steps, parameters, "z", None if squared else -3, squared)
    assert_gradients(head, [parameter.data.numpy() for parameter in parameters], np.array([0, 1, 3]))


def test_numeric_gradients_of_a_convolution_in_the_middle() -> None:
    spec = updatable(Middle().add_to, (2, 7, 7), ["middle", "hidden"], "sgd", "cross entropy")
    steps = build_steps(network_of(spec).layers)[:-1]
    for step in steps:
        step.module.double()
    parameters = [parameter for step in steps if step.layer.isUpdatable for parameter in step.module.parameters()]
    random = np.random.default_rng(5)
    head = GraphHead(
        {"x": random.normal(size=(4, 1, 1, 2, 7, 7))}, random.integers(0, 3, 4), steps, parameters, "z", -3, ""
    )
    assert_gradients(head, [parameter.data.numpy() for parameter in parameters], np.array([0, 2, 3]))


@pytest.mark.field_case("apple/coremltools#1714", "an update through a softmax at rank 3", "works")
@pytest.mark.parametrize("hidden", [False, True])
def test_a_softmax_at_rank_3_learns_along_its_axis(hidden: bool) -> None:
    """One innerProduct, whose gradient is in closed form; or two, through torch."""
    torch.manual_seed(0)
    last = nn.Linear(4, 3)
    module = nn.Sequential(*([nn.Linear(4, 4), nn.Tanh()] if hidden else []), last)

    def add(builder: Any) -> None:
        names = ["first", "last"] if hidden else ["last"]
        for name, linear in zip(names, (part for part in module if isinstance(part, nn.Linear)), strict=True):
            weights, bias = linear.weight.detach().numpy(), linear.bias.detach().numpy()
            source, target = ("h" if hidden else "x", "z") if name == "last" else ("x", "g")
            builder.add_inner_product(name, weights, bias, *weights.shape[::-1], True, source, target)
            if name == "first":
                builder.add_activation("tanh", "TANH", "g", "h")

    layers = ["first", "last"] if hidden else ["last"]
    spec = updatable(add, (1, 1, 4), layers, "sgd", "cross entropy", exact=True)
    x, wanted = np.random.default_rng(1).normal(size=(8, 4)).astype(np.float32), targets("cross entropy", 8)
    result = learned(spec, x[:, None, None], wanted)
    train(module, x, wanted, "sgd")
    assert_weights(result["last"].innerProduct.weights, last.weight)
    rows = [{"x": item[None, None], "label": LABELS[number]} for item, number in zip(x, wanted, strict=True)]
    as_the_format_says = Assumptions(softmax_at_rank_3="axis -3")
    message = r"'z' has the shape \[1, 1, 3\], but the loss needs all values on axis -3"
    with pytest.raises(ModelError, match=message):
        UpdateTask(spec, rows, assumptions=as_the_format_says).resume()
    with pytest.raises(ModelError, match=message):
        UpdateTask(load(spec, assumptions=as_the_format_says), rows).resume()
