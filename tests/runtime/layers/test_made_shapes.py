"""Layers whose output has another shape, or is made from shapes and numbers alone, against NumPy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coreml_updatable.errors import ModelError

SHAPES = hnp.array_shapes(max_dims=5, max_side=4)


def counting(shape: Sequence[int]) -> Any:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def blob(*numbers: float) -> Any:
    return np.array(numbers, np.float32)


@settings(max_examples=15, deadline=None)
@given(
    start=st.integers(-40, 40),
    end=st.integers(-40, 40),
    step=st.sampled_from([0.5, 1.0, 1.75, 98.0, -0.25, -2.0]),
    inputs=st.integers(0, 3),
)
def test_range(answers: Any, start: int, end: int, step: float, inputs: int) -> None:
    names = ["end", "start", "step"][:inputs]
    row = {name: blob(number) for name, number in zip(names, (end, start, step), strict=False)}

    def add(builder: Any) -> None:
        if inputs:
            builder.add_range_dynamic("r", names, "y", start, step)
        else:
            builder.add_range_static("r", "y", [], end, start, step)

    result = answers(add, [{**row, "x": blob(0)}, {**row, "x": blob(1)}])
    for answer in result:
        np.testing.assert_allclose(answer["y"], np.arange(start, end, step, np.float32), strict=True)


def test_range_of_another_length_each_row(answers: Any) -> None:
    rows = [{"end": blob(end)} for end in (3, 5, 1)]
    result = answers(lambda b: b.add_range_dynamic("r", ["end"], "y"), rows)
    assert [answer["y"].tolist() for answer in result] == [[0, 1, 2], [0, 1, 2, 3, 4], [0]]


def test_range_errors(answers: Any) -> None:
    with pytest.raises(ModelError, match=r"layer 'r': the range from 0.0 to 4.0 by 0.0 never ends; expected a step"):
        answers(lambda b: b.add_range_dynamic("r", ["end"], "y", step=0), [{"end": blob(4)}])
    with pytest.raises(ModelError, match=r"layer 'r': needs .* of memory"):
        answers(lambda b: b.add_range_static("r", "y", [], 2**40), [{"x": blob(4)}])
    with pytest.raises(ModelError, match=r"layer 'r': reads a blob of the shape \[2\] where it needs a single number"):
        answers(lambda b: b.add_range_dynamic("r", ["end"], "y"), [{"end": blob(4, 5)}])


@settings(max_examples=20, deadline=None)
@given(data=st.data(), shape=SHAPES, dynamic=st.booleans())
def test_tile(answers: Any, data: Any, shape: Any, dynamic: bool) -> None:
    reps = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=len(shape)))
    x = counting(shape)
    row = {"x": x, "reps": blob(*reps)} if dynamic else {"x": x}
    result = answers(lambda b: b.add_tile("t", list(row), "y", [] if dynamic else reps), [row, {**row, "x": -x}])
    np.testing.assert_array_equal(result[0]["y"], np.tile(x, reps), strict=True)
    np.testing.assert_array_equal(result[1]["y"], -np.tile(x, reps))


@settings(max_examples=12, deadline=None)
@given(data=st.data(), shape=hnp.array_shapes(max_dims=4, max_side=4), count=st.integers(2, 4))
def test_stack(answers: Any, data: Any, shape: Any, count: int) -> None:
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    row = {f"x{index}": counting(shape) + index for index in range(count)}
    result = answers(lambda b: b.add_stack("s", list(row), "y", axis), [row, row])
    np.testing.assert_array_equal(result[1]["y"], np.stack(list(row.values()), axis), strict=True)


def test_tile_and_stack_errors(answers: Any) -> None:
    x = counting((2, 3))
    with pytest.raises(ModelError, match=r"layer 't': repeats \[1, 1, 2\] times, expected 1 to 2 counts of at least 1"):
        answers(lambda b: b.add_tile("t", "x", "y", [1, 1, 2]), [{"x": x}])
    with pytest.raises(ModelError, match=r"layer 't': repeats \[0\] times, expected"):
        answers(lambda b: b.add_tile("t", ["x", "reps"], "y"), [{"x": x, "reps": blob(0)}])
    with pytest.raises(ModelError, match=r"layer 't': needs .* of memory"):
        answers(lambda b: b.add_tile("t", "x", "y", [2**30, 2**30]), [{"x": x}])
    with pytest.raises(
        ModelError, match=r"layer 's': inputs have the shapes \[\[2, 3\], \[3\]\], the layer expects equal"
    ):
        answers(lambda b: b.add_stack("s", ["x", "z"], "y"), [{"x": x, "z": x[0]}])


@settings(max_examples=12, deadline=None)
@given(shape=SHAPES, value=st.floats(-4, 4, width=16))
def test_fill_and_shape(answers: Any, shape: Any, value: float) -> None:
    rows = [{"x": counting(shape)}, {"x": counting(shape)}]
    wanted = blob(*shape)
    expected = np.full(shape, value, np.float32)
    for add, given_rows, actual in (
        (lambda b: b.add_fill_like("f", "x", "y", value), rows, expected),
        (lambda b: b.add_fill_static("f", "y", shape, value), rows, expected),
        (lambda b: b.add_fill_dynamic("f", "n", "y", value), [{"n": wanted}] * 2, expected),
        (lambda b: b.add_get_shape("g", "x", "y"), rows, wanted),
    ):
        for answer in answers(add, given_rows):
            np.testing.assert_array_equal(answer["y"], actual, strict=True)


@settings(max_examples=15, deadline=None)
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=1, max_dims=5, max_side=3))
def test_broadcast_to(answers: Any, shapes: Any) -> None:
    x, target = counting(shapes.input_shapes[0]), shapes.result_shape
    for add, more in (
        (lambda b: b.add_broadcast_to_static("b", "x", "y", target), {}),
        (lambda b: b.add_broadcast_to_like("b", ["x", "z"], "y"), {"z": np.zeros(target, np.float32)}),
        (lambda b: b.add_broadcast_to_dynamic("b", ["x", "n"], "y"), {"n": blob(*target)}),
    ):
        result = answers(add, [{"x": x, **more}, {"x": -x, **more}])
        np.testing.assert_array_equal(result[0]["y"], np.broadcast_to(x, target), strict=True)
        np.testing.assert_array_equal(result[1]["y"], -np.broadcast_to(x, target))


def test_shapes_no_blob_can_have(answers: Any) -> None:
    with pytest.raises(
        ModelError, match=r"layer 'f': makes a blob of the shape \[2, -1\], expected sizes of at least 1"
    ):
        answers(lambda b: b.add_fill_dynamic("f", "n", "y"), [{"n": blob(2, -1)}] * 2)
    with pytest.raises(ModelError, match=r"layer 'f': needs .* of memory"):
        answers(lambda b: b.add_fill_static("f", "y", (10**6, 10**6)), [{"x": blob(1)}])
    with pytest.raises(ModelError, match=r"layer 'b': needs .* of memory"):
        answers(lambda b: b.add_broadcast_to_dynamic("b", ["x", "n"], "y"), [{"x": blob(1), "n": blob(1e6, 1e6)}])
    with pytest.raises(ModelError, match=r"layer 'b': cannot take 'x' \[2\]"):
        answers(lambda b: b.add_broadcast_to_static("b", "x", "y", (3,)), [{"x": blob(1, 2)}])


@settings(max_examples=15, deadline=None)
@given(data=st.data(), shape=SHAPES)
def test_flatten_to_2d(answers: Any, data: Any, shape: Any) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape)))
    front = shape[:axis] if axis != 0 else ()
    x = counting(shape)
    result = answers(lambda b: b.add_flatten_to_2d("f", "x", "y", axis), [{"x": x}, {"x": -x}])
    np.testing.assert_array_equal(result[0]["y"], x.reshape(int(np.prod(front)), -1), strict=True)


@settings(max_examples=15, deadline=None)
@given(data=st.data(), shape=SHAPES)
def test_reshape(answers: Any, data: Any, shape: Any) -> None:
    x = counting(shape)
    target = data.draw(st.permutations(shape))
    row = {"x": x, "z": np.zeros(target, np.float32)}
    result = answers(lambda b: b.add_reshape_like("r", ["x", "z"], "y"), [row, {**row, "x": -x}])
    np.testing.assert_array_equal(result[0]["y"], x.reshape(target), strict=True)
    inferred = [*target]
    inferred[data.draw(st.integers(0, len(target) - 1))] = -1
    row = {"x": x, "n": blob(*inferred)}
    result = answers(lambda b: b.add_reshape_dynamic("r", ["x", "n"], "y"), [row, {**row, "x": -x}])
    np.testing.assert_array_equal(result[1]["y"], -x.reshape(target), strict=True)


def test_a_shape_computed_in_the_network(answers: Any) -> None:
    """getShape, gather and reshapeDynamic in a row: the usual way to write "flatten all but the first axis"."""

    def add(builder: Any) -> None:
        builder.add_get_shape("g", "x", "shape")
        builder.add_slice_dynamic("s", ["shape", "zero"], "first", end_ids=[1])
        builder.add_load_constant_nd("c", "rest", np.array([-1.0]), (1,))
        builder.add_concat_nd("j", ["first", "rest"], "target", 0)
        builder.add_reshape_dynamic("r", ["x", "target"], "y")

    x = counting((4, 3, 2))
    result = answers(add, [{"x": x, "zero": blob(0)}, {"x": -x, "zero": blob(0)}])
    np.testing.assert_array_equal(result[1]["y"], -x.reshape(4, 6), strict=True)


def test_reshape_errors(answers: Any) -> None:
    x = counting((2, 3))
    with pytest.raises(ModelError, match=r"layer 'f': axis is 3, expected -2 to 2 for an input of rank 2; check"):
        answers(lambda b: b.add_flatten_to_2d("f", "x", "y", 3), [{"x": x}])
    with pytest.raises(ModelError, match=r"layer 'r': cannot take 'x' \[2, 3\], 'n' \[1\] \(shape '\[4\]' is invalid"):
        answers(lambda b: b.add_reshape_dynamic("r", ["x", "n"], "y"), [{"x": x, "n": blob(4)}] * 2)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), shape=SHAPES, to_size=st.booleans(), dynamic=st.booleans())
def test_constant_pad(answers: Any, data: Any, shape: Any, to_size: bool, dynamic: bool) -> None:
    edges = data.draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=len(shape), max_size=len(shape))
    )
    amounts = edges
    if to_size:
        edges = [data.draw(st.sampled_from([(before, 0), (0, after)])) for before, after in edges]
        amounts = [
            tuple(size + edge if edge else data.draw(st.sampled_from([0, 1])) * (not sum(pair)) for edge in pair)
            for pair, size in zip(edges, shape, strict=True)
        ]
        amounts = [(before, 0 if before else after) for before, after in amounts]
    x = counting(shape)
    flat = [amount for pair in amounts for amount in pair]
    row = {"x": x, "pads": blob(*flat)} if dynamic else {"x": x}
    result = answers(
        lambda b: b.add_constant_pad("p", list(row), "y", 7.5, to_size, [] if dynamic else flat),
        [row, {**row, "x": -x}],
    )
    np.testing.assert_array_equal(result[0]["y"], np.pad(x, edges, constant_values=7.5), strict=True)
    np.testing.assert_array_equal(result[1]["y"], np.pad(-x, edges, constant_values=7.5))


def test_constant_pad_errors(answers: Any) -> None:
    x = counting((2, 3))

    def add(*amounts: int, to_size: bool = False) -> Any:
        return lambda b: b.add_constant_pad("p", ["x"], "y", 0.0, to_size, amounts)

    with pytest.raises(ModelError, match=r"layer 'p': pads by \[1, 1\], expected 4 amounts of 0 or more"):
        answers(add(1, 1), [{"x": x}])
    with pytest.raises(ModelError, match=r"layer 'p': pads an axis to 4 and to 5, expected one of them to be 0"):
        answers(add(4, 5, 0, 0, to_size=True), [{"x": x}])
    with pytest.raises(ModelError, match=r"layer 'p': needs .* of memory"):
        answers(add(2**40, 0, 0, 0), [{"x": x}])
