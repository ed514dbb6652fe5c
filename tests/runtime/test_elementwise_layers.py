"""Layers that keep each element in its place, against NumPy and torch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from coreml_updatable.runtime import load

X = np.random.default_rng(1).normal(size=(1, 3, 4, 5)).astype(np.float32) * 2
T = torch.from_numpy(X)
ACTIVATIONS: list[tuple[str, list[float], Callable[[], torch.Tensor]]] = [
    ("RELU", [], lambda: functional.relu(T)),
    ("LEAKYRELU", [0.2], lambda: functional.leaky_relu(T, 0.2)),
    ("THRESHOLDEDRELU", [0.7], lambda: functional.threshold(T, 0.7, 0.0)),
    ("TANH", [], lambda: torch.tanh(T)),
    ("SCALED_TANH", [1.5, 0.5], lambda: 1.5 * torch.tanh(0.5 * T)),
    ("SIGMOID", [], lambda: torch.sigmoid(T)),
    ("SIGMOID_HARD", [1 / 6, 0.5], lambda: functional.hardsigmoid(T)),
    ("LINEAR", [2.0, -1.0], lambda: 2 * T - 1),
    ("ELU", [1.3], lambda: functional.elu(T, 1.3)),
    ("SOFTSIGN", [], lambda: functional.softsign(T)),
    ("SOFTPLUS", [], lambda: functional.softplus(T)),
]
UNARY: list[tuple[str, Callable[[Any], Any]]] = [
    ("sqrt", lambda x: np.sqrt(x)),
    ("rsqrt", lambda x: 1 / np.sqrt(x + 1e-3)),
    ("inverse", lambda x: 1 / (x + 1e-3)),
    ("power", lambda x: x**2.5),
    ("exp", np.exp),
    ("log", np.log),
    ("abs", np.abs),
    ("threshold", lambda x: np.maximum(x, 2.5)),
]
GELU: list[tuple[str, Callable[[], torch.Tensor]]] = [
    ("EXACT", lambda: functional.gelu(T)),
    ("TANH_APPROXIMATION", lambda: functional.gelu(T, approximate="tanh")),
    ("SIGMOID_APPROXIMATION", lambda: T * torch.sigmoid(1.702 * T)),
]


@pytest.mark.parametrize(("name", "params", "reference"), ACTIVATIONS)
def test_activation(run_layer: Any, name: str, params: list[float], reference: Callable[[], torch.Tensor]) -> None:
    given = params if name in ("LEAKYRELU", "THRESHOLDEDRELU", "ELU") or len(params) > 1 else None
    if name in ("THRESHOLDEDRELU", "ELU"):
        given = params[0]  # type: ignore[assignment]
    result = run_layer(lambda b: b.add_activation("a", name, "x", "y", params=given), x=X)
    np.testing.assert_allclose(result, reference().numpy(), rtol=1e-5, atol=1e-6)


def test_prelu(run_layer: Any, random: Any) -> None:
    alpha = random.uniform(0.1, 1, 3).astype(np.float32)
    result = run_layer(lambda b: b.add_activation("a", "PRELU", "x", "y", params=alpha), x=X)
    np.testing.assert_allclose(result, functional.prelu(T, torch.from_numpy(alpha)).numpy(), rtol=1e-6)


def test_parametric_softplus(run_layer: Any, random: Any) -> None:
    alpha, beta = random.uniform(0.5, 2, (2, 3)).astype(np.float32)
    actual = run_layer(lambda b: b.add_activation("a", "PARAMETRICSOFTPLUS", "x", "y", params=[alpha, beta]), x=X)
    expected = alpha[:, None, None] * np.log1p(np.exp(beta[:, None, None] * X))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("mode", "reference"), UNARY)
def test_unary(run_layer: Any, mode: str, reference: Callable[[Any], Any]) -> None:
    x = np.abs(X) + 0.1
    actual = run_layer(lambda b: b.add_unary("u", "x", "y", mode, alpha=2.5, shift=0.5, scale=2.0, epsilon=1e-3), x=x)
    expected = reference(np.float64(2.0) * x + 0.5)
    if mode == "power":
        expected = (2.0 * x + 0.5) ** 2.5
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize(("mode", "reference"), GELU)
def test_gelu(run_layer: Any, mode: str, reference: Callable[[], torch.Tensor]) -> None:
    result = run_layer(lambda b: b.add_gelu("g", "x", "y", mode), x=X)
    np.testing.assert_allclose(result, reference().numpy(), rtol=1e-5, atol=1e-6)


def test_clip(run_layer: Any) -> None:
    np.testing.assert_array_equal(run_layer(lambda b: b.add_clip("c", "x", "y", -0.5, 0.5), x=X), X.clip(-0.5, 0.5))


@pytest.mark.parametrize("instance", [False, True])
def test_batchnorm_from_the_input(make_model: Any, random: Any, instance: bool) -> None:
    gamma, beta = random.normal(size=(2, 3)).astype(np.float32)
    x = random.normal(size=(2, 3, 4, 5)).astype(np.float32)
    spec = make_model(
        lambda b: b.add_batchnorm(
            "n", 3, gamma, beta, input_name="x", output_name="y", compute_mean_var=True,
            instance_normalization=True, epsilon=1e-3,
        ),
        {"x": x.shape},
        False,
    )  # fmt: skip
    spec.neuralNetwork.layers[0].batchnorm.instanceNormalization = instance  # the builder cannot write False
    actual = load(spec).predict({"x": x})["y"]
    source, parameters = torch.from_numpy(x), (torch.from_numpy(gamma), torch.from_numpy(beta))
    if instance:
        expected = functional.instance_norm(source, None, None, *parameters, use_input_stats=True, eps=1e-3)
    else:
        expected = functional.batch_norm(source, None, None, *parameters, training=True, eps=1e-3)
    np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_batchnorm_with_kept_statistics(run_layer: Any, random: Any) -> None:
    gamma, beta, mean = random.normal(size=(3, 3)).astype(np.float32)
    variance = random.uniform(0.5, 2, 3).astype(np.float32)
    actual = run_layer(lambda b: b.add_batchnorm("n", 3, gamma, beta, mean, variance, "x", "y", epsilon=1e-3), x=X)
    expected = functional.batch_norm(
        T, torch.from_numpy(mean), torch.from_numpy(variance), torch.from_numpy(gamma), torch.from_numpy(beta), eps=1e-3
    )
    np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("divide", [False, True])
def test_mvn(run_layer: Any, across: bool, divide: bool) -> None:
    actual = run_layer(lambda b: b.add_mvn("m", "x", "y", across, divide, 1e-4), x=X)
    axes = (1, 2, 3) if across else (2, 3)
    expected = X - X.mean(axes, keepdims=True)
    if divide:
        expected /= np.sqrt(X.var(axes, keepdims=True) + 1e-4)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_lrn(run_layer: Any, random: Any, size: int) -> None:
    x = random.normal(size=(1, 7, 2, 2)).astype(np.float32)
    actual = run_layer(lambda b: b.add_lrn("l", "x", "y", 0.3, 0.75, size, 1.5), x=x)
    expected = functional.local_response_norm(torch.from_numpy(x), size, 0.3, 0.75, 1.5).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_l2_normalize(run_layer: Any) -> None:
    result = run_layer(lambda b: b.add_l2_normalize("l", "x", "y", 1e-3), x=X)
    np.testing.assert_allclose(result, X / np.sqrt((X**2).sum() + 1e-3), rtol=1e-5)


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 4, 5), (3, 4, 5)])
def test_scale_and_bias(run_layer: Any, random: Any, shape: tuple[int, ...]) -> None:
    scale, bias = (random.normal(size=shape).astype(np.float32) for _ in range(2))
    wide = scale[:, None, None] if len(shape) == 1 else scale
    shift = bias[:, None, None] if len(shape) == 1 else bias
    listed = list(shape)
    result = run_layer(lambda b: b.add_scale("s", scale, bias, True, "x", "y", listed, listed), x=X)
    np.testing.assert_allclose(result, X * wide + shift, rtol=1e-5, atol=1e-6)
    result = run_layer(lambda b: b.add_bias("b", bias, "x", "y", listed), x=X)
    np.testing.assert_allclose(result, X + shift, rtol=1e-6)


def test_softmax_over_channels_and_over_an_axis(run_layer: Any) -> None:
    result = run_layer(lambda b: b.add_softmax("s", "x", "y"), x=X)
    np.testing.assert_allclose(result, torch.softmax(T, 1).numpy(), rtol=1e-5)
    result = run_layer(lambda b: b.add_softmax_nd("s", "x", "y", -1), x=X)
    np.testing.assert_allclose(result, torch.softmax(T, -1).numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    ("mode", "function"),
    [
        ("ADD", np.add),
        ("MULTIPLY", np.multiply),
        ("AVE", lambda a, b: (a + b) / 2),
        ("MAX", np.maximum),
        ("MIN", np.minimum),
    ],
)
def test_elementwise_pairs(run_layer: Any, random: Any, mode: str, function: Callable[[Any, Any], Any]) -> None:
    other = random.normal(size=(1, 3, 1, 1)).astype(np.float32)
    result = run_layer(lambda b: b.add_elementwise("e", ["x", "z"], "y", mode), x=X, z=other)
    np.testing.assert_allclose(result, function(X, other), rtol=1e-6)


def test_one_input_and_a_scalar(run_layer: Any) -> None:
    np.testing.assert_allclose(run_layer(lambda b: b.add_elementwise("e", ["x"], "y", "ADD", 2.5), x=X), X + 2.5)
    np.testing.assert_allclose(run_layer(lambda b: b.add_elementwise("e", ["x"], "y", "MULTIPLY", 2.5), x=X), X * 2.5)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("add_add_broadcastable", np.add),
        ("add_subtract_broadcastable", np.subtract),
        ("add_multiply_broadcastable", np.multiply),
        ("add_divide_broadcastable", np.divide),
        ("add_max_broadcastable", np.maximum),
        ("add_min_broadcastable", np.minimum),
        ("add_pow_broadcastable", np.power),
    ],
)
def test_broadcastable(run_layer: Any, random: Any, name: str, function: Callable[[Any, Any], Any]) -> None:
    a, b = random.uniform(0.5, 2, (2, 1, 4)).astype(np.float32), random.uniform(0.5, 2, (3, 1)).astype(np.float32)
    result = run_layer(lambda builder: getattr(builder, name)("e", ["x", "z"], "y"), x=a, z=b)
    np.testing.assert_allclose(result, function(a, b), rtol=1e-6)
