"""Gradients against central differences in double precision."""

from typing import Any

import numpy as np
import pytest

from coreml_updatable.runtime.engine.program import build_steps
from coreml_updatable.spec.network import network_of
from coreml_updatable.updating.network import GraphHead, LinearHead

STEP = 1e-5


def assert_gradients(head: Any, weights: list[Any], batch: Any) -> None:
    """Every weight, moved up and down a little, changes the loss as the gradient says."""
    _, gradients = head.gradients(batch)
    gradients = [gradient.copy() for gradient in gradients]
    for weight, gradient in zip(weights, gradients, strict=True):
        for index in np.ndindex(weight.shape):
            kept = weight[index]
            weight[index] = kept + STEP
            above = head.gradients(batch)[0]
            weight[index] = kept - STEP
            below = head.gradients(batch)[0]
            weight[index] = kept
            assert (above - below) / (2 * STEP) == pytest.approx(gradient[index], rel=1e-6, abs=1e-8)


def test_linear_head() -> None:
    random = np.random.default_rng(0)
    weights, bias = random.normal(size=(3, 5)), random.normal(size=3)
    head = LinearHead(random.normal(size=(7, 5)), random.integers(0, 3, 7), weights, bias, ["weights", "bias"])
    assert_gradients(head, [weights, bias], np.array([0, 2, 5, 6]))
    head = LinearHead(random.normal(size=(7, 5)), random.integers(0, 3, 7), weights, None, ["weights"])
    assert_gradients(head, [weights], np.array([1]))


@pytest.mark.parametrize("squared", ["", "mean", "half", "sum"])
def test_graph_head(make_updatable: Any, squared: str) -> None:
    random = np.random.default_rng(1)
    steps = build_steps(network_of(make_updatable(hidden=4)).layers)[:-1]
    parameters = []
    for step in steps:
        step.module.double()
        parameters += list(step.module.parameters())
    weights = [parameter.data.numpy() for parameter in parameters]
    x = random.normal(size=(6, 1, 1, 6, 1, 1))
    targets = random.normal(size=(6, 3)) if squared else random.integers(0, 3, 6)
    head = GraphHead({"x": x}, targets, steps, parameters, "z", None if squared else -3, squared)
    assert_gradients(head, weights, np.array([0, 1, 4]))
