"""A recorded head trains as torch's own loop does, and where it cannot be recorded the head trains as before."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from coreml_updatable.runtime.engine.program import Program, Step
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetwork_pb2
from coreml_updatable.updating import network
from coreml_updatable.updating.network import GraphHead

ROWS, BATCH, STEPS = 20, 5, 12


class Dense(nn.Module):
    def __init__(self, inputs: int, outputs: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weights = nn.Parameter(torch.randn(outputs, inputs, generator=generator) / 3, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weights.T


def step(name: str, module: nn.Module, source: str, target: str) -> Step:
    layer = NeuralNetwork_pb2.NeuralNetworkLayer(name=name, input=[source], output=[target])
    return Step(layer, module, frozenset([source]), frozenset([target]))


def head(middle: Any, axis: int | None) -> tuple[GraphHead, list[nn.Parameter], Any, torch.Tensor, torch.Tensor]:
    first, last = Dense(6, 8, 0), Dense(8, 3, 1)
    steps = [step("a", first, "x", "h"), step("b", Function(middle), "h", "g"), step("c", last, "g", "y")]
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, 6)).astype(np.float32)
    targets: Any = random.integers(0, 3, ROWS) if axis is not None else random.normal(size=(ROWS, 3)).astype(np.float32)
    parameters = [first.weights, last.weights]
    result = GraphHead({"x": x}, targets, steps, parameters, "y", axis, "mean")
    return result, parameters, lambda rows: last(middle(first(rows))), torch.from_numpy(x), torch.from_numpy(targets)


@pytest.mark.parametrize("axis", [-1, None])
@pytest.mark.parametrize("middle", [torch.relu, torch.tanh, lambda h: h.softmax(-1), lambda h: (h - h.mean()) / 2])
def test_steps_are_those_of_a_loop_written_in_torch(middle: Any, axis: int | None) -> None:
    result, parameters, plain, x, targets = head(middle, axis)
    start = [item.detach().clone() for item in parameters]
    for index in range(STEPS):
        batch = np.arange(index * BATCH, (index + 1) * BATCH) % ROWS
        for parameter, gradient in zip(parameters, result.gradients(batch)[1], strict=True):
            parameter.data -= 0.1 * torch.from_numpy(gradient)
    found = [item.detach().clone() for item in parameters]
    assert callable(result._recorded[BATCH])
    for parameter, before in zip(parameters, start, strict=True):
        parameter.data = before
        parameter.requires_grad_(True)
    for index in range(STEPS):
        rows = [place % ROWS for place in range(index * BATCH, (index + 1) * BATCH)]
        # A row stands alone, whatever its layers sum over.
        output = torch.stack([plain(x[row]) for row in rows])
        wanted = targets[rows]
        loss = (
            nn.functional.cross_entropy(output, wanted) if axis is not None else nn.functional.mse_loss(output, wanted)
        )
        for parameter, slope in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.data -= 0.1 * slope
    for parameter, other in zip(parameters, found, strict=True):
        torch.testing.assert_close(other, parameter.detach(), rtol=1e-5, atol=1e-6)


def test_a_head_that_keeps_gradients_back_is_not_recorded() -> None:
    result, _, _, _, _ = head(lambda h: torch.relu(h) + h.detach(), -1)
    batches = [np.arange(BATCH)] * 3
    first, second, third = (result.gradients(batch) for batch in batches)
    assert result._recorded[BATCH] is None
    for other in (second, third):
        for item, gradient in zip(first[1], other[1], strict=True):
            np.testing.assert_allclose(gradient, item, rtol=1e-6, atol=1e-7)


def test_values_that_decide_keep_running_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "recorded", lambda *_given: pytest.fail("was recorded"))
    result, _, _, _, _ = head(lambda h: h * (2.0 if float(h.detach().sum()) > 0 else 1.0), -1)
    first, second = (result.gradients(np.arange(BATCH)) for _ in range(2))
    np.testing.assert_allclose(second[1][0], first[1][0])
    assert isinstance(result._runner.program, Program)
