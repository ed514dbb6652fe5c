"""Layers that look for values: sorts, largest and smallest, places that are not zero, one-hot; against NumPy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coreml_updatable.errors import ModelError

SHAPES = hnp.array_shapes(max_dims=5, max_side=4)


def blobs(data: Any, shape: tuple[int, ...]) -> list[dict[str, Any]]:
    """Two rows of small integers, so that many are equal."""
    return [{"x": data.draw(hnp.arrays(np.float32, shape, elements=st.integers(-2, 2)))} for _ in range(2)]


def axis_in(data: Any, shape: tuple[int, ...]) -> int:
    axis: int = data.draw(st.integers(-len(shape), len(shape) - 1))
    return axis


def order(x: Any, axis: int, descending: bool) -> Any:
    return np.argsort(-x if descending else x, axis, kind="stable")


@settings(max_examples=20, deadline=None)
@given(data=st.data(), shape=SHAPES, bottom=st.booleans(), dynamic=st.booleans())
def test_top_k(answers: Any, data: Any, shape: Any, bottom: bool, dynamic: bool) -> None:
    axis, rows = axis_in(data, shape), blobs(data, shape)
    counts = [data.draw(st.integers(1, shape[axis])) for _ in rows]
    if dynamic:
        rows = [{**row, "k": np.array([k], np.float32)} for row, k in zip(rows, counts, strict=True)]
    else:
        counts = counts[:1] * 2
    names = ["x", "k"] if dynamic else ["x"]
    stored = 0 if dynamic else counts[0]
    result = answers(lambda b: b.add_topk("t", names, ["y", "i"], stored, axis, bottom), rows, outputs=("y", "i"))
    for row, k, answer in zip(rows, counts, result, strict=True):
        places = np.take(order(row["x"], axis, not bottom), range(k), axis)
        np.testing.assert_array_equal(answer["i"], places.astype(np.float32), strict=True)
        np.testing.assert_array_equal(answer["y"], np.take_along_axis(row["x"], places, axis), strict=True)


@pytest.mark.parametrize(("name", "function"), [("argmax", np.argmax), ("argmin", np.argmin)])
@settings(max_examples=12, deadline=None)
@given(data=st.data(), shape=SHAPES, keep=st.booleans())
def test_arg_max(answers: Any, name: str, function: Any, data: Any, shape: Any, keep: bool) -> None:
    axis, rows = axis_in(data, shape), blobs(data, shape)
    actual = answers(lambda b: getattr(b, f"add_{name}")("a", "x", "y", axis, keep), rows)
    for row, answer in zip(rows, actual, strict=True):
        expected = function(row["x"], axis, keepdims=keep or len(shape) == 1)
        np.testing.assert_array_equal(answer["y"], expected.astype(np.float32), strict=True)


@settings(max_examples=12, deadline=None)
@given(data=st.data(), shape=SHAPES, descending=st.booleans())
def test_arg_sort(answers: Any, data: Any, shape: Any, descending: bool) -> None:
    axis, rows = axis_in(data, shape) % len(shape), blobs(data, shape)
    actual = answers(lambda b: b.add_argsort("a", "x", "y", axis, descending), rows)
    for row, answer in zip(rows, actual, strict=True):
        expected = order(row["x"], axis, descending).astype(np.float32)
        np.testing.assert_array_equal(answer["y"], expected, strict=True)


@settings(max_examples=15, deadline=None)
@given(data=st.data(), shape=SHAPES)
def test_where_not_zero(answers: Any, data: Any, shape: Any) -> None:
    rows = blobs(data, shape)
    result = answers(lambda b: b.add_where_nonzero("w", "x", "y"), rows)
    for row, answer in zip(rows, result, strict=True):
        np.testing.assert_array_equal(answer["y"], np.argwhere(row["x"]).astype(np.float32), strict=True)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), shape=hnp.array_shapes(max_dims=4, max_side=4), size=st.integers(1, 4), dynamic=st.booleans())
def test_one_hot(answers: Any, data: Any, shape: Any, size: int, dynamic: bool) -> None:
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    rows = blobs(data, shape)
    names = ["x", "n"] if dynamic else ["x"]
    given_rows = [{**row, "n": np.array([size], np.float32)} if dynamic else row for row in rows]
    stored = None if dynamic else size
    actual = answers(lambda b: b.add_one_hot("o", names, "y", stored, axis, 30.0, -4.0), given_rows)
    for row, answer in zip(rows, actual, strict=True):
        x = row["x"].astype(int)
        vectors = np.concatenate([np.eye(size), np.zeros((5, size))])[np.where(x < 0, size, x)]
        expected = np.moveaxis(vectors * 34 - 4, -1, axis).astype(np.float32)
        np.testing.assert_array_equal(answer["y"], expected, strict=True)


def test_errors(answers: Any) -> None:
    row = {"x": np.ones((2, 3), np.float32)}
    counts = {**row, "k": np.ones(2, np.float32)}
    with pytest.raises(ModelError, match=r"layer 't': takes the top 4 of 3 values, expected 1 to 3; check the layer"):
        answers(lambda b: b.add_topk("t", ["x"], ["y", "i"], 4, 1), [row], outputs=("y", "i"))
    with pytest.raises(ModelError, match=r"layer 't': reads a blob of the shape \[2\] where it needs a single number"):
        answers(lambda b: b.add_topk("t", ["x", "k"], ["y", "i"]), [counts], outputs=("y", "i"))
    with pytest.raises(ModelError, match="layer 'a': axis is -3, expected -2 to 1 for an input of rank 2"):
        answers(lambda b: b.add_argmax("a", "x", "y", -3), [row])
    with pytest.raises(ModelError, match=r"layer 'o': needs .* of memory"):
        answers(lambda b: b.add_one_hot("o", ["x"], "y", 10**12), [row])
    with pytest.raises(
        ModelError, match=r"layer 'o': makes a blob of the shape \[2, 3, 0\], expected sizes of at least 1"
    ):
        answers(lambda b: b.add_one_hot("o", ["x"], "y"), [row])
