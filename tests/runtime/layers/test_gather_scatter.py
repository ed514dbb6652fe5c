"""Layers that read or write at indices, against NumPy; scatter's modes against NumPy's ufunc.at, one update a time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coreml_updatable.errors import ModelError

MODES = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "DIV": np.divide, "MAX": np.maximum, "MIN": np.minimum}
VALUES = st.integers(-8, 8).filter(bool).map(lambda index: index / 2)
SHAPES = hnp.array_shapes(max_dims=3, max_side=4)


def values(shape: tuple[int, ...]) -> Any:
    return hnp.arrays(np.float32, shape, elements=VALUES)


def indices(shape: tuple[int, ...], size: int) -> Any:
    return hnp.arrays(np.float32, shape, elements=st.integers(-size, size - 1))


def updated(container: Any, at: Any, updates: Any, mode: str) -> Any:
    """container with updates written at ``at``, one by one in row-major order (NumPy's indexing)."""
    y = container.astype(np.float64)
    if mode == "UPDATE":
        places = np.arange(y.size).reshape(y.shape)[at]
        for place, value in zip(places.ravel(), np.broadcast_to(updates, places.shape).ravel(), strict=True):
            y.ravel()[place] = value
    else:
        MODES[mode].at(y, at, updates)
    return y


@settings(max_examples=15, deadline=None)
@given(data=st.data(), shape=SHAPES, where=SHAPES)
def test_gather(answers: Any, data: Any, shape: Any, where: Any) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    rows = [{"x": data.draw(values(shape)), "i": data.draw(indices(where, shape[axis]))} for _ in range(2)]
    result = answers(lambda b: b.add_gather("g", ["x", "i"], "y", axis), rows)
    for row, answer in zip(rows, result, strict=True):
        np.testing.assert_array_equal(answer["y"], np.take(row["x"], row["i"].astype(int), axis), strict=True)


@settings(max_examples=15, deadline=None)
@given(data=st.data(), shape=SHAPES, count=st.integers(1, 4))
def test_gather_along_axis(answers: Any, data: Any, shape: Any, count: int) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    where = tuple(count if index == axis % len(shape) else size for index, size in enumerate(shape))
    rows = [{"x": data.draw(values(shape)), "i": data.draw(indices(where, shape[axis]))} for _ in range(2)]
    actual = answers(lambda b: b.add_gather_along_axis("g", ["x", "i"], "y", axis), rows)
    for row, answer in zip(rows, actual, strict=True):
        expected = np.take_along_axis(row["x"], row["i"].astype(int), axis)
        np.testing.assert_array_equal(answer["y"], expected, strict=True)


def multi_indices(data: Any, shape: tuple[int, ...]) -> Any:
    """A rank 1 to 3 array of multi-indices into the first axes of ``shape``."""
    depth = data.draw(st.integers(1, len(shape)))
    outer = data.draw(hnp.array_shapes(min_dims=1, max_dims=2, max_side=3) | st.just(()))
    return np.stack([data.draw(indices(outer, size)) for size in shape[:depth]], -1)


@settings(max_examples=15, deadline=None)
@given(data=st.data(), shape=SHAPES)
def test_gather_nd(answers: Any, data: Any, shape: Any) -> None:
    where = multi_indices(data, shape)
    rows = [{"x": data.draw(values(shape)), "i": where}, {"x": data.draw(values(shape)), "i": np.zeros_like(where)}]
    actual = answers(lambda b: b.add_gather_nd("g", ["x", "i"], "y"), rows)
    for row, answer in zip(rows, actual, strict=True):
        expected = np.atleast_1d(row["x"][tuple(np.moveaxis(row["i"].astype(int), -1, 0))])
        np.testing.assert_array_equal(answer["y"], expected, strict=True)


@pytest.mark.parametrize("mode", ["UPDATE", *MODES])
@settings(max_examples=8, deadline=None)
@given(data=st.data(), shape=SHAPES, where=hnp.array_shapes(max_dims=2, max_side=4))
def test_scatter(answers: Any, mode: str, data: Any, shape: Any, where: Any) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    before, after = shape[: axis % len(shape)], shape[axis % len(shape) + 1 :]
    rows = [
        {
            "x": data.draw(values(shape)),
            "i": data.draw(indices(where, shape[axis])),
            "u": data.draw(values((*before, *where, *after))),
        }
        for _ in range(2)
    ]
    result = answers(lambda b: b.add_scatter("s", ["x", "i", "u"], "y", axis, mode), rows)
    for row, answer in zip(rows, result, strict=True):
        at = (slice(None),) * len(before) + (row["i"].astype(int),)
        np.testing.assert_allclose(answer["y"], updated(row["x"], at, row["u"], mode), rtol=1e-5)


@pytest.mark.parametrize("mode", ["UPDATE", *MODES])
@settings(max_examples=8, deadline=None)
@given(data=st.data(), shape=SHAPES)
def test_scatter_nd(answers: Any, mode: str, data: Any, shape: Any) -> None:
    where = multi_indices(data, shape)
    updates = (*where.shape[:-1], *shape[where.shape[-1] :]) or (1,)
    if where.ndim == 1 and where.shape[0] == len(shape):
        where, updates = where[None], (1,)  # a single number is a blob of rank 1
    rows = [
        {"x": data.draw(values(shape)), "i": at, "u": data.draw(values(updates))}
        for at in (where, np.zeros_like(where))
    ]
    result = answers(lambda b: b.add_scatter_nd("s", ["x", "i", "u"], "y", mode), rows)
    for row, answer in zip(rows, result, strict=True):
        places = tuple(np.moveaxis(row["i"].astype(int), -1, 0))
        np.testing.assert_allclose(answer["y"], updated(row["x"], places, row["u"], mode), rtol=1e-5)


@pytest.mark.parametrize("mode", ["UPDATE", *MODES])
@settings(max_examples=8, deadline=None)
@given(data=st.data(), shape=SHAPES, count=st.integers(1, 4))
def test_scatter_along_axis(answers: Any, mode: str, data: Any, shape: Any, count: int) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    where = tuple(count if index == axis % len(shape) else size for index, size in enumerate(shape))
    rows = [
        {
            "x": data.draw(values(shape)),
            "i": data.draw(indices(where, shape[axis])),
            "u": data.draw(values(where)),
        }
        for _ in range(2)
    ]
    result = answers(lambda b: b.add_scatter_along_axis("s", ["x", "i", "u"], "y", axis, mode), rows)
    for row, answer in zip(rows, result, strict=True):
        places = list(np.indices(where))
        places[axis] = row["i"].astype(int)
        np.testing.assert_allclose(answer["y"], updated(row["x"], tuple(places), row["u"], mode), rtol=1e-5)


X = np.arange(6, dtype=np.float32).reshape(2, 3)


def blob(*numbers: float) -> Any:
    return np.array(numbers, np.float32)


@pytest.mark.parametrize("at", [3, -4])
def test_an_index_outside(answers: Any, at: int) -> None:
    for add in (
        lambda b: b.add_gather("g", ["x", "i"], "y", 1),
        lambda b: b.add_scatter("g", ["x", "i", "u"], "y", 1),
    ):
        row = {"x": X, "i": blob(0, at), "u": np.ones((2, 2), np.float32)}
        with pytest.raises(ModelError, match=rf"layer 'g': cannot take .*'i' \[2\].* \(index {at} is out of bounds"):
            answers(add, [row])
    for add in (
        lambda b: b.add_gather_nd("g", ["x", "i"], "y"),
        lambda b: b.add_scatter_nd("g", ["x", "i", "u"], "y"),
    ):
        row = {"x": X, "i": blob(1, at)[None], "u": blob(1)}
        with pytest.raises(ModelError, match=rf"layer 'g': cannot take .* \(index {at} is out of bounds"):
            answers(add, [row, row])


def test_shapes_that_disagree(answers: Any) -> None:
    row = {"x": X, "i": blob(0, 1), "u": blob(0, 1)}
    with pytest.raises(ModelError, match=r"layer 's': updates have the shape \[2\], the layer expects \[2, 3\]; check"):
        answers(lambda b: b.add_scatter("s", ["x", "i", "u"], "y"), [row])
    with pytest.raises(
        ModelError, match=r"layer 's': indices have the shape \[2\], expected \[2, 3\] in all but axis 0"
    ):
        answers(lambda b: b.add_scatter_along_axis("s", ["x", "i", "u"], "y"), [row])
    with pytest.raises(
        ModelError, match=r"layer 'g': indices have the shape \[2\], expected \[2, 3\] in all but axis 1"
    ):
        answers(lambda b: b.add_gather_along_axis("g", ["x", "i"], "y", -1), [row])
    with pytest.raises(ModelError, match=r"layer 'g': multi-indices have 3 places, expected 1 to 2"):
        answers(lambda b: b.add_gather_nd("g", ["x", "i"], "y"), [{"x": X, "i": blob(0, 0, 0)}])
    with pytest.raises(ModelError, match=r"layer 'g': axis is 2, expected -2 to 1 for an input of rank 2"):
        answers(lambda b: b.add_gather("g", ["x", "i"], "y", 2), [row])


def test_a_mode_the_format_does_not_have(answers: Any) -> None:
    def unknown(layer: Any) -> None:
        layer.scatter.mode = 7

    with pytest.raises(ModelError, match="layer 's': the scatter mode 7 is not known"):
        answers(lambda b: b.add_scatter("s", ["x", "i", "u"], "y"), [{"x": X, "i": blob(0), "u": X[:1]}], edit=unknown)
