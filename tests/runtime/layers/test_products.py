"""Products, tables and normalization: against NumPy's matmul and torch's functions; 8 bits against integers."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models.neural_network.quantization_utils import (
        MatrixMultiplyLayerSelector,
        activate_int8_int8_matrix_multiplications,
    )

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime import load

SIDES = st.integers(1, 4)
SEEDS = st.integers(0, 99)
RANKS = st.lists(SIDES, max_size=3).map(tuple)


def drawn(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(
    data=st.data(), lead=RANKS, m=SIDES, n=SIDES, k=SIDES, transposed=st.tuples(st.booleans(), st.booleans()),
    seed=SEEDS,
)  # fmt: skip
def test_matmul_of_two_inputs(
    answers: Any, data: Any, lead: Any, m: int, n: int, k: int, transposed: Any, seed: int
) -> None:
    leads = [tuple(data.draw(st.sampled_from([1, size])) for size in lead) for _ in range(2)]
    leads[1] = leads[1][data.draw(st.integers(0, len(lead))) :]  # broadcast: fewer axes, or axes of size 1
    a = drawn(seed, *leads[0], *((n, m) if transposed[0] else (m, n)))
    b = drawn(seed + 1, *leads[1], *((k, n) if transposed[1] else (n, k)))
    rows = [{"a": a, "b": b}, {"a": b.sum() + a, "b": b}]
    result = answers(lambda builder: builder.add_batched_mat_mul("product", ["a", "b"], "y", *transposed), rows)
    for row, answer in zip(rows, result, strict=True):
        left = np.swapaxes(row["a"], -1, -2) if transposed[0] else row["a"]
        right = np.swapaxes(row["b"], -1, -2) if transposed[1] else row["b"]
        np.testing.assert_allclose(answer["y"], np.matmul(left, right), rtol=1e-4, atol=1e-4, strict=True)


@pytest.mark.parametrize(
    ("a", "b", "shape"),
    [((10,), (10,), (1, 1)), ((4, 10), (10,), (4, 1)), ((10,), (10, 3), (1, 3)), ((10,), (2, 10, 3), (2, 1, 3))],
)
def test_matmul_keeps_the_axes_put_to_vectors(answers: Any, a: Any, b: Any, shape: Any) -> None:
    row = {"a": drawn(0, *a), "b": drawn(1, *b)}
    (result,) = answers(lambda builder: builder.add_batched_mat_mul("product", ["a", "b"], "y"), [row])
    np.testing.assert_allclose(result["y"], np.matmul(row["a"], row["b"]).reshape(shape), rtol=1e-5, strict=True)


@settings(max_examples=15, deadline=None)
@given(lead=RANKS, n=SIDES, k=SIDES, biased=st.booleans(), seed=SEEDS)
def test_matmul_with_weights(answers: Any, lead: Any, n: int, k: int, biased: bool, seed: int) -> None:
    w, bias = drawn(seed, n, k), drawn(seed + 1, k)
    rows = [{"x": drawn(seed + 2 + index, *lead, n)} for index in range(2)]
    actual = answers(
        lambda b: b.add_batched_mat_mul(
            "product", ["x"], "y", weight_matrix_rows=n, weight_matrix_columns=k, W=w, bias=bias if biased else None
        ),
        rows,
    )
    for row, answer in zip(rows, actual, strict=True):
        expected = row["x"] @ w + (bias if biased else 0)
        np.testing.assert_allclose(answer["y"], expected, rtol=1e-4, atol=1e-4, strict=True)


def test_matmul_with_quantized_weights(answers: Any) -> None:
    """Linear quantization has one scale a column."""
    bytes_ = np.random.default_rng(0).integers(0, 256, (3, 5)).astype(np.uint8)
    scale, bias, x = np.abs(drawn(0, 5)), drawn(1, 5), drawn(2, 4, 3)
    (result,) = answers(
        lambda b: b.add_batched_mat_mul(
            "product", ["x"], "y", weight_matrix_rows=3, weight_matrix_columns=5, W=bytes_.tobytes(),
            is_quantized_weight=True, quant_scale=scale, quant_bias=bias,
        ),
        [{"x": x}],
    )  # fmt: skip
    np.testing.assert_allclose(result["y"], x @ (bytes_ * scale + bias), rtol=1e-4)


def whole_numbers(x: Any, weights: Any, scale: float) -> Any:
    """x quantized to 8 bits by its largest magnitude, multiplied in int64, dequantized. weights [n, k]."""
    step = np.float32(np.abs(x).max() / np.float32(127))
    quantized = np.rint(x / step).astype(np.int64)
    return (quantized @ weights.astype(np.int64)) * (np.float64(step) * scale)


@settings(max_examples=15, deadline=None)
@given(lead=RANKS, n=st.integers(1, 9), k=SIDES, seed=SEEDS)
def test_8_bit_products(answers: Any, lead: Any, n: int, k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    w = random.integers(-127, 128, (n, k)).astype(np.int8)
    rows = [{"x": random.normal(size=(*lead, n)).astype(np.float32)} for _ in range(2)]
    scale = np.array([0.03], np.float32)
    shared = {"int_8_dynamic_quantize": True, "is_quantized_weight": True, "quant_scale": scale}

    def matmul(builder: Any) -> None:
        builder.add_batched_mat_mul(
            "p", ["x"], "y", weight_matrix_rows=n, weight_matrix_columns=k, W=w.tobytes(), **shared
        )

    def inner(builder: Any) -> None:
        builder.add_inner_product("p", w.T.copy().tobytes(), None, n, k, False, "x", "y", **shared)

    for add in (matmul, inner) if len(lead) < 3 else (matmul,):
        for row, answer in zip(rows, answers(add, rows), strict=True):
            np.testing.assert_allclose(answer["y"], whole_numbers(row["x"], w, 0.03), rtol=1e-4, atol=1e-5)


def test_8_bit_products_stay_near_the_float_model(make_model: Any) -> None:
    """coremltools' own conversion, and its bound: a signal to noise ratio of 30 dB."""
    w, bias, x = drawn(0, 16, 32) * 5, drawn(1, 16), drawn(2, 5, 32)
    spec = make_model(lambda b: b.add_inner_product("fc", w, bias, 32, 16, True, "x", "y"), {"x": x.shape}, False)
    expected = load(spec).predict({"x": x})["y"]
    spec.neuralNetwork.layers[0].innerProduct.hasBias = False
    without = load(spec).predict({"x": x})["y"]
    np.testing.assert_allclose(without + bias, expected, rtol=1e-4, atol=1e-4)
    spec.neuralNetwork.layers[0].innerProduct.hasBias = True
    converted = activate_int8_int8_matrix_multiplications(spec, MatrixMultiplyLayerSelector(minimum_weight_count=1))
    actual = load(converted).predict({"x": x})["y"].reshape(expected.shape)
    assert any(layer.innerProduct.int8DynamicQuantize for layer in converted.neuralNetwork.layers)
    assert np.square(expected).mean() / np.square(actual - expected).mean() > 10**3


def test_8_bit_faults(answers: Any) -> None:
    def add(builder: Any) -> None:
        builder.add_inner_product(
            "fc", bytes(6), None, 3, 2, False, "x", "y", True, True, quant_scale=np.array([1.0], np.float32)
        )

    row = {"x": np.zeros(3, np.float32)}
    (result,) = answers(add, [row])  # no division by the largest magnitude, 0
    np.testing.assert_array_equal(result["y"], [0.0, 0.0])
    with pytest.raises(ModelError, match="layer 'fc': weights contain 5 8-bit values and 1 scales, expected 6 and 1"):
        answers(add, [row], edit=lambda layer: setattr(layer.innerProduct.weights, "int8RawValue", bytes(5)))
    with pytest.raises(ModelError, match="layer 'fc': weights contain 6 8-bit values and 2 scales, expected 6 and 1"):
        answers(
            add, [row],
            edit=lambda layer: layer.innerProduct.weights.quantization.linearQuantization.scale.append(1.0),
        )  # fmt: skip


def test_matmul_faults(answers: Any) -> None:
    def add(builder: Any) -> None:
        builder.add_batched_mat_mul("p", ["x"], "y", weight_matrix_rows=3, weight_matrix_columns=2, W=drawn(0, 3, 2))

    with pytest.raises(ModelError, match="layer 'p': input has 4 channels, the layer expects 3"):
        answers(add, [{"x": drawn(0, 4)}])
    with pytest.raises(ModelError, match=r"layer 'p': cannot take 'a' \[2, 3\], 'b' \[2, 3\]"):
        answers(lambda b: b.add_batched_mat_mul("p", ["a", "b"], "y"), [{"a": drawn(0, 2, 3), "b": drawn(0, 2, 3)}])
    with pytest.raises(ModelError, match="layer 'p': has 3 inputs, the layer expects 1 to 2"):
        answers(add, [{"x": drawn(0, 3)}], edit=lambda layer: layer.input.extend(["x", "x"]))


@settings(max_examples=15, deadline=None)
@given(
    lead=st.lists(SIDES, min_size=1, max_size=4).map(tuple), n=st.integers(1, 6), k=SIDES, biased=st.booleans(),
    seed=SEEDS,
)  # fmt: skip
def test_embedding(answers: Any, lead: Any, n: int, k: int, biased: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    table, bias = drawn(seed, k, n), drawn(seed + 1, k)
    rows = [{"x": random.integers(0, n, (*lead, 1)).astype(np.float32)} for _ in range(2)]

    def expected(row: Any) -> Any:
        looked_up = functional.embedding(torch.from_numpy(row["x"][..., 0]).long(), torch.from_numpy(table.T.copy()))
        return looked_up.numpy() + (bias if biased else 0)

    actual = answers(lambda b: b.add_embedding_nd("e", "x", "y", n, k, table, bias if biased else None), rows)
    for row, answer in zip(rows, actual, strict=True):
        np.testing.assert_allclose(answer["y"], expected(row), rtol=1e-6, strict=True)
    if len(lead) <= 2:
        deep = [{"x": row["x"][..., None, None]} for row in rows]
        actual = answers(lambda b: b.add_embedding("e", table, bias, n, k, biased, "x", "y"), deep)
        for row, answer in zip(rows, actual, strict=True):
            np.testing.assert_allclose(answer["y"], expected(row)[..., None, None], rtol=1e-6, strict=True)


def test_embedding_of_a_sequence_in_rank_5(answers: Any) -> None:
    table = drawn(0, 3, 4)
    (result,) = answers(
        lambda b: b.add_embedding("e", table, None, 4, 3, False, "x", "y"), [{"x": np.array([2.0])}], rank5=True
    )
    np.testing.assert_array_equal(result["y"].ravel(), table[:, 2])


@pytest.mark.parametrize("number", [-1.0, 4.0])
def test_embedding_outside_its_table(answers: Any, number: float) -> None:
    rows = [{"x": np.array([[value]], np.float32)} for value in (1.0, number)]
    with pytest.raises(ModelError, match="layer 'e': input has a number outside 0 to 3, the rows of its table"):
        answers(lambda b: b.add_embedding_nd("e", "x", "y", 4, 3, drawn(0, 3, 4)), rows)
    with pytest.raises(ModelError, match=r"layer 'e': input has the shape \[2, 2\], the layer expects \[..., 1\]"):
        answers(lambda b: b.add_embedding_nd("e", "x", "y", 4, 3, drawn(0, 3, 4)), [{"x": drawn(0, 2, 2)}])


@settings(max_examples=15, deadline=None)
@given(lead=st.lists(SIDES, max_size=2).map(tuple), channels=st.integers(1, 6), seed=SEEDS)
def test_dot_and_cosine(answers: Any, lead: Any, channels: int, seed: int) -> None:
    row = {name: drawn(seed + index, *lead, channels, 1, 1) for index, name in enumerate("ab")}
    (actual,) = answers(lambda b: b.add_elementwise("dot", ["a", "b"], "y", "DOT"), [row])
    expected = np.einsum("...chw,...chw->...hw", row["a"], row["b"])[..., None, :, :]
    np.testing.assert_allclose(actual["y"], expected, rtol=1e-4, atol=1e-5, strict=True)
    (actual,) = answers(lambda b: b.add_elementwise("dot", ["a", "b"], "y", "COS"), [row])
    peer = functional.cosine_similarity(torch.from_numpy(row["a"]), torch.from_numpy(row["b"]), dim=-3).numpy()
    np.testing.assert_allclose(actual["y"], peer[..., None, :, :], rtol=1e-4, atol=1e-5, strict=True)


def test_dot_of_zeros_and_its_faults(answers: Any) -> None:
    row = {"a": np.zeros((3, 1, 1), np.float32), "b": drawn(0, 3, 1, 1)}
    (result,) = answers(lambda b: b.add_elementwise("dot", ["a", "b"], "y", "COS"), [row])
    assert result["y"].item() == 0.0
    with pytest.raises(ModelError, match=r"layer 'dot': input has the shape \[3, 2, 1\], the layer expects"):
        answers(lambda b: b.add_elementwise("dot", ["a", "b"], "y", "DOT"), [row | {"b": drawn(0, 3, 2, 1)}])
    with pytest.raises(ModelError, match="layer 'dot': input has 4 channels, the layer expects 3"):
        answers(lambda b: b.add_elementwise("dot", ["a", "b"], "y", "DOT"), [row | {"b": drawn(0, 4, 1, 1)}])


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": np.sum,
    "avg": np.mean,
    "prod": np.prod,
    "logsum": lambda x, axis, keepdims: np.log(x + 0.5).sum(axis, keepdims=keepdims),
    "sumsquare": lambda x, axis, keepdims: np.square(x).sum(axis, keepdims=keepdims),
    "l1": lambda x, axis, keepdims: np.abs(x).sum(axis, keepdims=keepdims),
    "l2": lambda x, axis, keepdims: (
        np.linalg.norm(x, axis=axis, keepdims=keepdims)
        if isinstance(axis, int)
        else np.sqrt(np.square(x).sum(axis, keepdims=keepdims))
    ),
    "max": np.max,
    "min": np.min,
    "argmax": np.argmax,
}
AXES = {"CHW": (-3, -2, -1), "HW": (-2, -1), "C": -3, "H": -2, "W": -1}


@settings(max_examples=40, deadline=None)
@given(
    lead=st.lists(SIDES, max_size=2).map(tuple), chw=st.tuples(SIDES, SIDES, SIDES),
    mode=st.sampled_from(sorted(REDUCTIONS)), axes=st.sampled_from(sorted(AXES)), seed=SEEDS,
)  # fmt: skip
def test_reduce(answers: Any, lead: Any, chw: Any, mode: str, axes: str, seed: int) -> None:
    x = drawn(seed, *lead, *chw)
    x = np.abs(x) if mode == "logsum" else x

    def add(builder: Any) -> None:
        builder.add_reduce("reduce", "x", "y", axes, mode, 0.5)

    if mode == "argmax" and isinstance(AXES[axes], tuple):
        with pytest.raises(ModelError, match=r"layer 'reduce': ARGMAX over . axes, expected one of C, H, W"):
            answers(add, [{"x": x}])
        return
    (actual,) = answers(add, [{"x": x}])
    expected = REDUCTIONS[mode](x.astype(np.float64), axis=AXES[axes], keepdims=True)
    np.testing.assert_allclose(actual["y"], expected.astype(np.float32), rtol=1e-4, atol=1e-5, strict=True)


def test_reduce_of_too_low_a_rank(answers: Any) -> None:
    (result,) = answers(lambda b: b.add_reduce("reduce", "x", "y", "W", "sum"), [{"x": np.ones(3, np.float32)}])
    assert result["y"].tolist() == [3.0]
    with pytest.raises(ModelError, match="layer 'reduce': input has rank 1, the layer expects at least 2"):
        answers(lambda b: b.add_reduce("reduce", "x", "y", "HW", "sum"), [{"x": np.ones(3, np.float32)}])


@settings(max_examples=15, deadline=None)
@given(shape=st.lists(SIDES, min_size=1, max_size=4).map(tuple), data=st.data(), seed=SEEDS)
def test_layer_normalization(answers: Any, shape: Any, data: Any, seed: int) -> None:
    inner = shape[data.draw(st.integers(0, len(shape) - 1)) :]
    gamma, beta = drawn(seed, *inner), drawn(seed + 1, *inner)
    rows = [{"x": drawn(seed + 2 + index, *shape)} for index in range(2)]
    actual = answers(lambda b: b.add_layer_normalization("norm", "x", "y", inner, gamma, beta, 1e-3), rows)
    for row, answer in zip(rows, actual, strict=True):
        x = row["x"].astype(np.float64)
        axes = tuple(range(len(shape) - len(inner), len(shape)))
        spread = np.sqrt(x.var(axes, keepdims=True) + 1e-3)
        expected = gamma * (x - x.mean(axes, keepdims=True)) / spread + beta
        np.testing.assert_allclose(answer["y"], expected.astype(np.float32), rtol=1e-4, atol=1e-4, strict=True)


def test_layer_normalization_faults(answers: Any) -> None:
    def add(builder: Any) -> None:
        builder.add_layer_normalization("norm", "x", "y", (3,), drawn(0, 3), drawn(1, 3))

    with pytest.raises(ModelError, match=r"layer 'norm': input has the shape \[2, 4\], the layer expects it to end in"):
        answers(add, [{"x": drawn(0, 2, 4)}])
    with pytest.raises(ModelError, match=r"layer 'norm': normalizedShape is \[\], expected positive sizes"):
        answers(add, [{"x": drawn(0, 2, 3)}], edit=lambda layer: layer.layerNormalization.ClearField("normalizedShape"))
