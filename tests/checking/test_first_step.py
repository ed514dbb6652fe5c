"""The bounds of the first step against the curvature and the gradient that torch computes."""

from math import sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coreml_updatable.checking.first_step import largest_rate
from coreml_updatable.spec.messages import Model, NeuralNetwork_pb2


def head(inputs: int, outputs: int, *, bias: bool) -> Model:
    return NeuralNetwork_pb2.InnerProductLayerParams(inputChannels=inputs, outputChannels=outputs, hasBias=bias)


def unit(inputs: int, *, bias: bool) -> torch.Tensor:
    """A feature of length 1, and the 1 that the bias is multiplied with."""
    feature = torch.randn(inputs, dtype=torch.float64)
    return torch.cat([feature / feature.norm(), torch.ones(int(bias), dtype=torch.float64)])


def curvature(loss: object, weights: torch.Tensor) -> float:
    assert callable(loss)
    hessian = torch.autograd.functional.hessian(loss, weights)
    hessian = hessian.reshape(weights.numel(), weights.numel())
    return float(torch.linalg.eigvalsh(hessian).max())


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(2, 4), st.booleans(), st.integers(0, 1000))
def test_cross_entropy_curves_no_more_than_the_bound_says(inputs: int, outputs: int, bias: bool, seed: int) -> None:
    torch.manual_seed(seed)
    feature, weights = unit(inputs, bias=bias), torch.randn(outputs, inputs + bias, dtype=torch.float64)
    largest = largest_rate("sgdOptimizer", head(inputs, outputs, bias=bias), cross_entropy=True)
    target = torch.tensor(0)
    assert curvature(lambda w: torch.nn.functional.cross_entropy(w @ feature, target), weights) <= 2 / largest + 1e-9


def test_two_even_classes_reach_the_bound() -> None:
    feature, weights = unit(3, bias=True), torch.zeros(2, 4, dtype=torch.float64)
    result = curvature(lambda w: torch.nn.functional.cross_entropy(w @ feature, torch.tensor(0)), weights)
    assert result == pytest.approx(2 / largest_rate("sgdOptimizer", head(3, 2, bias=True), cross_entropy=True))


@pytest.mark.parametrize(("outputs", "reduction"), [(1, 0.5), (2, 0.5), (5, 0.2)])
def test_squared_error_curves_as_the_bound_says(outputs: int, reduction: float) -> None:
    """Of one or two outputs half the sum of squares is the milder reading, of more their mean."""
    feature, weights = unit(3, bias=True), torch.randn(outputs, 4, dtype=torch.float64)
    result = curvature(lambda w: reduction * (w @ feature).square().sum(), weights)
    assert result == pytest.approx(2 / largest_rate("sgdOptimizer", head(3, outputs, bias=True), cross_entropy=False))


@pytest.mark.parametrize(("rate", "rises"), [(1.5, False), (30.0, True)])
def test_beyond_the_bound_a_step_raises_the_loss(rate: float, rises: bool) -> None:
    """Two pictures with nearly the same features and different labels, as an owner hands them over."""
    features = torch.tensor([[1.0, 0.0, 1.0], [0.999, 0.0447, 1.0], [1.0, 0.0, 1.0]], dtype=torch.float64)
    targets = torch.tensor([0, 1, 0])
    weights = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    before = torch.nn.functional.cross_entropy(features @ weights.T, targets)
    before.backward()
    assert weights.grad is not None
    after = torch.nn.functional.cross_entropy(features @ (weights - rate * weights.grad).T, targets)
    assert bool(after > before) == rises


@pytest.mark.parametrize("inputs", [4, 144])
def test_adam_saturates_a_softmax_at_the_bound(inputs: int) -> None:
    feature = torch.full((inputs,), 1 / sqrt(inputs))
    rate = largest_rate("adamOptimizer", head(inputs, 2, bias=False), cross_entropy=True)
    for factor, saturated in ((0.9, False), (1.1, True)):
        weights = torch.nn.Parameter(torch.zeros(2, inputs))
        optimizer = torch.optim.Adam([weights], lr=factor * rate)
        torch.nn.functional.cross_entropy((weights @ feature)[None], torch.tensor([0])).backward()
        optimizer.step()
        assert bool(torch.softmax(weights @ feature, 0)[0] == 1) == saturated
