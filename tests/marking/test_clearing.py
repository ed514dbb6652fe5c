"""Activations that stop the gradient are written as ReLUs, compute the same, and train as torch trains them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from coreml_updatable.checking import check
from coreml_updatable.converting.equivalence import ALLOWED_DIFFERENCE, unchanged
from coreml_updatable.marking import marked
from coreml_updatable.marking.clearing import hinges_of
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, UpdateSettings
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import NeuralNetwork_pb2, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.weights import packed_floats
from coreml_updatable.updating import UpdateTask
from tests.broken_models import valid
from tests.marking import layered
from tests.marking.layered import Fill, with_constant
from tests.marking.networks import convert
from tests.marking.test_mark import SETTINGS

LARGEST = float(np.finfo(np.float32).max)


def clip(low: float, high: float) -> Fill:
    def fill(layer: NeuralNetworkLayer) -> None:
        layer.clip.minVal, layer.clip.maxVal = low, high

    return fill


def clamped(alpha: float, beta: float) -> Fill:
    def fill(layer: NeuralNetworkLayer) -> None:
        layer.clampedReLU.alpha, layer.clampedReLU.beta = alpha, beta

    return fill


def activation(kind: str, **numbers: float) -> Fill:
    def fill(layer: NeuralNetworkLayer) -> None:
        getattr(layer.activation, kind).SetInParent()
        for name, number in numbers.items():
            setattr(getattr(layer.activation, kind), name, number)

    return fill


def prelu(layer: NeuralNetworkLayer) -> None:
    layer.activation.PReLU.alpha.floatValue.extend(layered.NUMBERS)


def unary(kind: str, **numbers: float) -> Fill:
    def fill(layer: NeuralNetworkLayer) -> None:
        layer.unary.type = getattr(layer.unary, kind)
        for name, number in numbers.items():
            setattr(layer.unary, name, number)

    return fill


BENT: dict[str, Fill] = {
    "ReLU6": clip(0, 6),
    "hard tanh": clip(-1, 1),
    "no lower bound": clip(-LARGEST, 0.5),
    "no upper bound": clip(0.25, LARGEST),
    "only a ReLU": clip(0, LARGEST),
    "clamped ReLU": clamped(0.1, 1.5),
    "leaky ReLU": activation("leakyReLU", alpha=0.3),
    "PReLU": prelu,
    "hard sigmoid": activation("sigmoidHard", alpha=0.2, beta=0.5),
    "scaled tanh": activation("scaledTanh", alpha=1.7, beta=0.6),
    "threshold": unary("THRESHOLD", alpha=0.2, scale=-2, shift=0.3),
    "absolute value": unary("ABS", shift=-0.3),
}
STRAIGHT: dict[str, Fill] = {"scale": layered.scale, "batchnorm": layered.batchnorm, "linear": layered.linear}


@pytest.mark.parametrize("name", BENT)
@pytest.mark.parametrize("shape", [(1, 5, 1, 1), (5,)])
def test_an_activation_becomes_relus_that_compute_the_same(name: str, shape: tuple[int, ...]) -> None:
    before = layered.classifier(BENT[name], shape=shape)
    result = marked(before, SETTINGS, last=2)
    assert [str(layer.name) for layer in network_of(result.model).layers if layer.isUpdatable] == ["first", "last"]
    assert result.repairs
    assert unchanged(before, result.model) <= ALLOWED_DIFFERENCE
    assert check(result.model) == []


@pytest.mark.parametrize("name", STRAIGHT)
def test_a_factor_behind_a_relu_becomes_a_fixed_convolution(name: str) -> None:
    before = layered.classifier(layered.relu, STRAIGHT[name])
    result = marked(before, SETTINGS, last=2)
    (note,) = result.repairs
    assert "became a fixed 1x1 convolution" in note
    assert unchanged(before, result.model) <= ALLOWED_DIFFERENCE
    assert check(result.model) == []


def test_so_does_an_operation_with_a_constant() -> None:
    before = layered.classifier(layered.relu, with_constant("multiplyBroadcastable"), constant=(6, 1, 1))
    result = marked(before, SETTINGS, last=2)
    assert "loadConstantND" not in {layer_kind(layer) for layer in network_of(result.model).layers}
    assert unchanged(before, result.model) <= ALLOWED_DIFFERENCE
    assert check(result.model) == []


@given(low=st.floats(-5, 5), width=st.floats(0, 10), x=st.floats(-20, 20))
def test_any_clip(low: float, width: float, x: float) -> None:
    layer = NeuralNetwork_pb2.NeuralNetworkLayer()
    clip(low, low + width)(layer)
    hinges = hinges_of(layer)
    assert hinges is not None
    total = hinges.offset + sum(float(h.weight[0]) * max(0.0, float(h.slope[0] * x + h.shift[0])) for h in hinges.terms)
    assert total == pytest.approx(np.clip(x, low, low + width), abs=1e-5)


@pytest.mark.parametrize("name", [*BENT, *STRAIGHT])
def test_marking_twice_is_marking_once(name: str) -> None:
    before = layered.classifier(layered.relu, {**BENT, **STRAIGHT}[name])
    once = marked(before, SETTINGS, last=2)
    twice = marked(once.model, SETTINGS, last=2)
    assert model_bytes(twice.model) == model_bytes(once.model)
    assert twice.repairs == ()


def test_nothing_is_rewritten_before_the_trained_layers() -> None:
    before = layered.classifier(clip(0, 6))
    result = marked(before, SETTINGS)
    assert result.repairs == ()
    assert "clip" in {layer_kind(layer) for layer in network_of(result.model).layers}


class Relu6Head(nn.Module):
    """The end of MobileNet v2: a convolution, ReLU6, the mean, a Linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 6, 1)
        self.front = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), self.conv, nn.ReLU6())
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(3 * self.front(x).mean((2, 3)))
        return logits


def test_one_step_of_training_is_that_of_torch_on_the_original() -> None:
    torch.manual_seed(3)
    module = Relu6Head()
    with torch.no_grad():
        module.conv.weight.copy_(torch.linspace(-20, 20, 24).reshape(6, 4, 1, 1))  # both ends of ReLU6 are met
    rate = 0.05
    settings = UpdateSettings(
        SGD(DoubleParameter(rate), Int64Parameter(4), DoubleParameter(0.0)), Int64Parameter(1), shuffle=False
    )
    result = marked(convert(module, (1, 3, 9, 9)), settings, last=2, labels=("a", "b", "c"))
    assert any("clip became ReLU between fixed 1x1 convolutions" in note for note in result.repairs)
    rows = torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    task = UpdateTask(
        result.model, [{"image": row[None].numpy(), "label": "abca"[index]} for index, row in enumerate(rows)]
    )
    learned = task.resume().model.message
    values = module.front(rows)
    assert (values == 0).any()
    assert (values == 6).any()
    loss = nn.functional.cross_entropy(module(rows), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    torch.optim.SGD([*module.conv.parameters(), *module.head.parameters()], rate).step()
    kernel = valid.layer(learned, "conv2").convolution
    np.testing.assert_allclose(
        packed_floats(kernel.weights), module.conv.weight.detach().numpy().ravel(), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        packed_floats(valid.layer(learned, "fc").innerProduct.bias), module.head.bias.detach().numpy(), rtol=1e-4
    )
