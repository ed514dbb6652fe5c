"""Reductions and running sums, and bands of a matrix, against NumPy and SciPy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import logsumexp

from coreml_updatable.errors import ModelError

SHAPES = hnp.array_shapes(max_dims=5, max_side=4)
REDUCTIONS: dict[str, Any] = {
    "l1": lambda x, **rest: np.sum(np.abs(x), **rest),
    "l2": lambda x, **rest: np.sqrt(np.sum(x**2, **rest)),
    "prod": np.prod,
    "sumsquare": lambda x, **rest: np.sum(x**2, **rest),
    "logsum": lambda x, **rest: np.log(np.sum(x, **rest)),
    "logsumexp": logsumexp,
}


@pytest.mark.parametrize("name", REDUCTIONS)
@settings(max_examples=10, deadline=None)
@given(data=st.data(), shape=SHAPES, keep=st.booleans(), every=st.booleans())
def test_reduction(answers: Any, name: str, data: Any, shape: Any, keep: bool, every: bool) -> None:
    axes = data.draw(st.lists(st.sampled_from(range(len(shape))), min_size=1, unique=True))
    signed = [axis - data.draw(st.sampled_from([0, len(shape)])) for axis in axes]
    low = 0.25 if name == "logsum" else -2
    rows = [{"x": data.draw(hnp.arrays(np.float32, shape, elements=st.floats(low, 2, width=16)))} for _ in range(2)]
    actual = answers(
        lambda b: getattr(b, f"add_reduce_{name}")("r", "x", "y", None if every else signed, keep, every), rows
    )
    for row, answer in zip(rows, actual, strict=True):
        kept = tuple(range(len(shape))) if every else tuple(axes)
        expected = np.atleast_1d(REDUCTIONS[name](row["x"].astype(np.float64), axis=kept, keepdims=keep))
        np.testing.assert_allclose(answer["y"], expected.astype(np.float32), rtol=1e-4, atol=1e-5, strict=True)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), shape=SHAPES, exclusive=st.booleans(), reverse=st.booleans(), dynamic=st.booleans())
def test_cum_sum(answers: Any, data: Any, shape: Any, exclusive: bool, reverse: bool, dynamic: bool) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = data.draw(hnp.arrays(np.float32, shape, elements=st.integers(-9, 9)))
    row = {"x": x, "axis": np.array([axis], np.float32)} if dynamic else {"x": x}
    actual = answers(
        lambda b: b.add_cumsum("c", list(row), "y", 0 if dynamic else axis, reverse, exclusive), [row, {**row, "x": -x}]
    )
    turned = np.flip(x, axis) if reverse else x
    sums = np.cumsum(turned, axis) - (turned if exclusive else 0)  # integers, so that this is exact
    expected = np.flip(sums, axis) if reverse else sums
    np.testing.assert_array_equal(actual[0]["y"], expected, strict=True)
    np.testing.assert_array_equal(actual[1]["y"], -expected)


@settings(max_examples=20, deadline=None)
@given(shape=hnp.array_shapes(min_dims=2, max_dims=5, max_side=5), lower=st.integers(-2, 5), upper=st.integers(-2, 5))
def test_bands(answers: Any, shape: Any, lower: int, upper: int) -> None:
    x = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    rows = [{"x": x}, {"x": np.where(x > 3, np.inf, -x)}]
    band = x.copy()
    if lower >= 0:
        band = np.triu(band, -lower)
    if upper >= 0:
        band = np.tril(band, upper)
    k = lower - 2
    for add, kept in (
        (lambda b: b.add_matrix_band_part("m", "x", "y", lower, upper), band),
        (lambda b: b.add_lower_triangular("m", "x", "y", k), np.tril(x, k)),
        (lambda b: b.add_upper_triangular("m", "x", "y", k), np.triu(x, k)),
    ):
        result = answers(add, rows)
        np.testing.assert_array_equal(result[0]["y"], kept, strict=True)
        np.testing.assert_array_equal(result[1]["y"], np.where(kept > 0, rows[1]["x"], 0))


def test_errors(answers: Any) -> None:
    x = np.ones(3, np.float32)
    with pytest.raises(ModelError, match="layer 'm': input has rank 1, the layer expects at least 2; check"):
        answers(lambda b: b.add_lower_triangular("m", "x", "y"), [{"x": x}])
    with pytest.raises(ModelError, match="layer 'c': axis is 2, expected -1 to 0 for an input of rank 1"):
        answers(lambda b: b.add_cumsum("c", ["x", "axis"], "y"), [{"x": x, "axis": np.full(1, 2, np.float32)}])
    with pytest.raises(ModelError, match="layer 'r': axis is 1, expected -1 to 0 for an input of rank 1"):
        answers(lambda b: b.add_reduce_l1("r", "x", "y", [1]), [{"x": x}])
