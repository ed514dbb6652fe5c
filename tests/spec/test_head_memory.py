"""Memory of the head, against the tensors that torch's optimizers keep and the blobs that the runtime computes."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch

from coreml_updatable.runtime import load
from coreml_updatable.spec.head_memory import head_memory
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of
from tests.broken_models import valid

Build: TypeAlias = Callable[[], Model]


def kept_by_torch(optimizer: Any, parameters: int, **settings: float) -> int:
    """Bytes of the optimizer's state after a step, but for its step counter."""
    values = torch.nn.Parameter(torch.ones(parameters))
    result = optimizer([values], **settings)
    values.grad = torch.ones(parameters)
    result.step()
    return sum(
        state.nbytes for state in result.state[values].values() if state is not None and state.numel() == parameters
    )


@pytest.mark.parametrize(
    ("build", "optimizer", "settings"),
    [
        (valid.classifier, torch.optim.SGD, {"lr": 0.1, "momentum": 0.5}),
        (valid.adam_classifier, torch.optim.Adam, {"lr": 0.1}),
    ],
)
def test_state_of_the_optimizer_as_torch(build: Build, optimizer: Any, settings: dict[str, float]) -> None:
    memory = head_memory(build())
    parameters = torch.nn.Linear(144, 3).weight.numel() + 3
    assert memory.weights == memory.gradients == 4 * parameters
    assert memory.optimizer == kept_by_torch(optimizer, parameters, **settings)


def numbers_in(value: Any) -> int:
    """Of a blob, or of the dictionary of probabilities that it became."""
    return len(value) if isinstance(value, dict) else int(np.size(value))


def test_no_momentum_keeps_nothing() -> None:
    model = valid.classifier()
    valid.sgd(model).momentum.defaultValue = 0
    assert head_memory(model).optimizer == 4 * 435  # an app may still choose one
    valid.sgd(model).momentum.range.maxValue = 0
    assert head_memory(model).optimizer == kept_by_torch(torch.optim.SGD, 435, lr=0.1) == 0
    valid.sgd(model).ClearField("momentum")
    assert head_memory(model).optimizer == 0


@pytest.mark.parametrize(
    ("build", "row", "blobs"),
    [
        (valid.classifier, {"image": np.ones((3, 8, 8))}, ("flatten", "fc", "probabilities")),
        (valid.plain, {"x": np.ones(5)}, ("sigmoid", "fc2", "y")),
    ],
)
def test_activations_are_the_blobs_from_the_updatable_layer_to_the_loss(
    build: Build, row: dict[str, Any], blobs: tuple[str, ...]
) -> None:
    model = build()
    computed = load(model).predict(row, intermediate=True)
    layers = network_of(model).layers
    names = [str(layer.output[0]) for layer in layers if str(layer.output[0]) in blobs or layer.name in blobs]
    assert len(names) == 3
    optimizer = network_of(model).updateParams.optimizer.sgdOptimizer
    for batch in (1, 8):
        optimizer.miniBatchSize.defaultValue = batch
        memory = head_memory(model)
        assert memory.activations == 2 * 4 * batch * sum(numbers_in(computed[name]) for name in names)
        assert memory.mini_batch == batch
        assert memory.total == memory.weights + memory.gradients + memory.optimizer + memory.activations


def test_a_shape_that_is_open_leaves_the_activations_open() -> None:
    model = valid.classifier()
    model.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=1, upperBound=9)
    memory = head_memory(model)
    assert memory.activations is None
    assert memory.total is None


def test_without_update_parameters() -> None:
    model = valid.classifier()
    network_of(model).ClearField("updateParams")
    memory = head_memory(model)
    assert (memory.optimizer, memory.mini_batch, memory.activations) == (0, 0, 0)
