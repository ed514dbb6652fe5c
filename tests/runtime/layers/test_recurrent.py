"""simpleRecurrent and gru against torch.nn.RNN where the formulas agree, and else against the format's in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coreml_updatable.errors import ModelError

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "SIGMOID": lambda x: 1 / (1 + np.exp(-x)),
    "TANH": np.tanh,
    "RELU": lambda x: np.maximum(x, 0),
    "LINEAR": lambda x: x,
    "SCALED_TANH": lambda x: 1.7159 * np.tanh(x * 2 / 3),
    "SIGMOID_HARD": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
}
NAMES = st.sampled_from(sorted(FUNCTIONS))
SIZES = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))  # Seq, B, n, k


def blob(array: Any) -> Any:
    return array[..., None, None].astype(np.float32)


def clip(x: Any) -> Any:
    return np.clip(x, -50, 50)


def drawn(random: Any, *shape: int) -> Any:
    return random.normal(scale=0.5, size=shape).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(
    sizes=SIZES, name=NAMES, whole=st.booleans(), backwards=st.booleans(), state=st.booleans(), biased=st.booleans(),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_simple(
    answers: Any, sizes: Any, name: str, whole: bool, backwards: bool, state: bool, biased: bool, seed: int
) -> None:
    steps, batch, inputs, size = sizes
    random = np.random.default_rng(seed)
    w, r, b = drawn(random, size, inputs), drawn(random, size, size), drawn(random, size)
    rows = [
        {"x": blob(drawn(random, steps, batch, inputs)), "h0": blob(drawn(random, 1, batch, size))} for _ in range(2)
    ]
    read, written = (["x", "h0"], ["y", "h"]) if state else (["x"], ["y"])
    rows = [{key: row[key] for key in read} for row in rows]
    actual = answers(
        lambda builder: builder.add_simple_rnn(
            "rnn", r, w, b if biased else None, size, inputs, name, read, written, whole, backwards
        ),
        rows, outputs=written,
    )  # fmt: skip
    for row, answer in zip(rows, actual, strict=True):
        y = row["h0"][0, ..., 0, 0].astype(np.float64) if state else np.zeros((batch, size))
        result = []
        for x in row["x"][:: -1 if backwards else 1, ..., 0, 0]:
            y = FUNCTIONS[name](clip(x @ w.T + y @ r.T + (b if biased else 0)))
            result.append(y)
        expected = blob(np.stack(result if whole else result[-1:]))
        np.testing.assert_allclose(answer["y"], expected, rtol=2e-4, atol=2e-4, strict=True)
        if state:
            np.testing.assert_allclose(answer["h"], blob(y[None]), rtol=2e-4, atol=2e-4, strict=True)


@settings(max_examples=20, deadline=None)
@given(
    sizes=SIZES, inner=NAMES, name=NAMES, whole=st.booleans(), backwards=st.booleans(), state=st.booleans(),
    biased=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_gru(
    answers: Any, sizes: Any, inner: str, name: str, whole: bool, backwards: bool, state: bool, biased: bool, seed: int
) -> None:
    steps, batch, inputs, size = sizes
    random = np.random.default_rng(seed)
    w, r, b = ([drawn(random, *shape) for _ in range(3)] for shape in ((size, inputs), (size, size), (size,)))
    read, written = (["x", "h0"], ["y", "h"]) if state else (["x"], ["y"])
    rows = [
        {"x": blob(drawn(random, steps, batch, inputs)), "h0": blob(drawn(random, 1, batch, size))} for _ in range(2)
    ]
    rows = [{key: row[key] for key in read} for row in rows]
    actual = answers(
        lambda builder: builder.add_gru(
            "gru", r, w, b if biased else None, size, inputs, read, written, name, inner, whole, backwards
        ),
        rows, outputs=written,
    )  # fmt: skip
    f, g = FUNCTIONS[inner], FUNCTIONS[name]
    bias = b if biased else [np.zeros(size)] * 3
    for row, answer in zip(rows, actual, strict=True):
        y = row["h0"][0, ..., 0, 0].astype(np.float64) if state else np.zeros((batch, size))
        result = []
        for x in row["x"][:: -1 if backwards else 1, ..., 0, 0]:
            z, reset = (f(clip(x @ w[n].T + y @ r[n].T + bias[n])) for n in (0, 1))
            y = (1 - z) * g(clip(x @ w[2].T + (y * reset) @ r[2].T + bias[2])) + z * y
            result.append(y)
        expected = blob(np.stack(result if whole else result[-1:]))
        np.testing.assert_allclose(answer["y"], expected, rtol=2e-4, atol=2e-4, strict=True)
        if state:
            np.testing.assert_allclose(answer["h"], blob(y[None]), rtol=2e-4, atol=2e-4, strict=True)


@pytest.mark.parametrize("kind", ["tanh", "relu"])
def test_simple_equals_torch(answers: Any, kind: str) -> None:
    torch.manual_seed(0)
    peer = torch.nn.RNN(3, 4, nonlinearity=kind)
    w, r, b, c = (parameter.detach().numpy() for parameter in peer.parameters())
    x = torch.randn(5, 2, 3)
    (result,) = answers(
        lambda builder: builder.add_simple_rnn("rnn", r, w, b + c, 4, 3, kind.upper(), ["x"], ["y"], True),
        [{"x": blob(x.numpy())}],
    )
    np.testing.assert_allclose(result["y"][..., 0, 0], peer(x)[0].detach().numpy(), rtol=1e-4, atol=1e-5)


def test_gates_are_clipped_at_50(answers: Any) -> None:
    eye = np.eye(1, dtype=np.float32)
    (result,) = answers(
        lambda builder: builder.add_simple_rnn("rnn", eye, eye, None, 1, 1, "LINEAR", ["x"], ["y"], True),
        [{"x": blob(np.array([[[80.0]], [[-200.0]], [[3.0]]]))}],
    )
    np.testing.assert_array_equal(result["y"].ravel(), [50.0, -50.0, -47.0])


def test_constants_of_an_activation_that_are_set_hold(answers: Any) -> None:
    eye = np.eye(1, dtype=np.float32)

    def edit(layer: Any) -> None:
        layer.simpleRecurrent.activation.linear.alpha = 2.0
        layer.simpleRecurrent.activation.linear.beta = 1.0

    (result,) = answers(
        lambda builder: builder.add_simple_rnn("rnn", eye, eye, None, 1, 1, "LINEAR", ["x"], ["y"]),
        [{"x": blob(np.array([[[3.0]]]))}], edit=edit,
    )  # fmt: skip
    np.testing.assert_array_equal(result["y"].ravel(), [7.0])


def test_faults(answers: Any) -> None:
    random = np.random.default_rng(0)
    w, r = ([drawn(random, *shape) for _ in range(3)] for shape in ((2, 3), (2, 2)))

    def add(builder: Any) -> None:
        builder.add_gru("gru", r, w, None, 2, 3, ["x"], ["y"])

    x = np.ones((1, 1, 3, 1, 1), np.float32)
    with pytest.raises(ModelError, match="layer 'gru': has 1 activations, expected 2"):
        answers(add, [{"x": x}], edit=lambda layer: layer.gru.activations.pop())
    with pytest.raises(ModelError, match="layer 'gru': resetGateRecursionMatrix: contains 3 values, expected 4"):
        answers(add, [{"x": x}], edit=lambda layer: layer.gru.resetGateRecursionMatrix.floatValue.pop())
    with pytest.raises(ModelError, match=r"layer 'gru': input has the shape \[1, 1, 2, 1, 1\], the layer expects"):
        answers(add, [{"x": x[:, :, :2]}])
