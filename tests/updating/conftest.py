"""Updatable models made with coremltools' builder, and rows for them."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models import datatypes
    from coremltools.models.neural_network import AdamParams, NeuralNetworkBuilder, SgdParams

LABELS = ["a", "b", "c"]
INPUTS = 6


def updatable_model(
    optimizer: str = "sgd",
    hidden: int = 0,
    seed: int = 0,
    loss: str = "cross entropy",
    frozen: bool = False,
    **parameters: float,
) -> Any:
    """x [6] -> (frozen fc0 ->) (updatable fc1 -> relu ->) updatable fc2 -> softmax, which a squared error lacks."""
    random = np.random.default_rng(seed)
    classifies = loss == "cross entropy"
    output = "probs" if classifies else "z"
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(INPUTS))],
        [(output, datatypes.Array(len(LABELS)))],
        mode="classifier" if classifies else None,
    )
    blob, size, layers = "x", INPUTS, ["fc2"]

    def dense(name: str, source: str, inputs: int, outputs: int, target: str) -> None:
        weights, bias = random.normal(size=(outputs, inputs)) * 0.4, random.normal(size=outputs) * 0.1
        builder.add_inner_product(name, weights, bias, inputs, outputs, True, source, target)

    if frozen:
        dense("fc0", blob, size, 5, "f0")
        builder.add_activation("tanh0", "TANH", "f0", "f")
        blob, size = "f", 5
    if hidden:
        dense("fc1", blob, size, hidden, "h0")
        builder.add_activation("relu1", "RELU", "h0", "h")
        blob, size, layers = "h", hidden, ["fc1", "fc2"]
    dense("fc2", blob, size, len(LABELS), "z")
    if classifies:
        builder.add_softmax("softmax", "z", "probs")
        builder.set_class_labels(LABELS, "label", "probs")
    builder.make_updatable(layers)
    if classifies:
        builder.set_categorical_cross_entropy_loss("loss", "probs")
    else:
        builder.set_mean_squared_error_loss("loss", ("z", datatypes.Array(len(LABELS))))
    batch = int(parameters.pop("batch", 4))
    if optimizer == "sgd":
        sgd = {"lr": 0.1, "momentum": 0.0, **parameters}
        builder.set_sgd_optimizer(SgdParams(batch=batch, **sgd))
    else:
        adam = {"lr": 0.05, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3, **parameters}
        builder.set_adam_optimizer(AdamParams(batch=batch, **adam))
    builder.set_epochs(3)
    return builder.spec


@pytest.fixture(scope="session")
def make_updatable() -> Callable[..., Any]:
    return updatable_model


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    random = np.random.default_rng(3)
    return [
        {"x": random.normal(size=INPUTS).astype(np.float32), "label": LABELS[index % len(LABELS)]}
        for index in range(10)
    ]
