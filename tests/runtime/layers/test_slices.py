"""Layers that take a part of their input, or its windows, against NumPy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coreml_updatable.errors import ModelError

SHAPES = hnp.array_shapes(max_dims=5, max_side=4)
NAMES = ["x", "begins", "ends", "strides", "begin_masks", "end_masks", "squeezes"]


def counting(shape: tuple[int, ...]) -> Any:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), shape=SHAPES, inputs=st.integers(2, 7))
def test_slice_dynamic(answers: Any, data: Any, shape: Any, inputs: int) -> None:
    rank = len(shape)
    begins = [data.draw(st.integers(-size, size - 1)) for size in shape]
    ends = [data.draw(st.integers(-size - 1, size + 1)) for size in shape]
    strides = data.draw(st.lists(st.sampled_from([1, 2, -1, -3]), min_size=rank, max_size=rank))
    masks = [data.draw(st.lists(st.booleans(), min_size=rank, max_size=rank)) for _ in range(3)]
    sections = tuple(
        begin if squeeze else slice(None if first else begin, None if last else end, stride)
        for begin, end, stride, first, last, squeeze in zip(begins, ends, strides, *masks, strict=True)
    )
    x = counting(shape)
    expected = np.atleast_1d(x[sections])
    assume(expected.size)
    stored: dict[str, Any] = {"end_ids": ends, "strides": strides}
    stored.update(zip(("begin_masks", "end_masks", "squeeze_masks"), masks, strict=True))
    given_last = dict(list(stored.items())[inputs - 2 :])  # the others come from inputs
    values = (x, begins, ends, strides, *masks)
    row = {name: np.array(value, np.float32) for name, value in zip(NAMES[:inputs], values, strict=False)}
    actual = answers(
        lambda b: b.add_slice_dynamic("s", NAMES[:inputs], "y", **given_last), [row, {**row, "x": -row["x"]}]
    )
    np.testing.assert_array_equal(actual[0]["y"], expected, strict=True)
    np.testing.assert_array_equal(actual[1]["y"], -expected)


def test_slice_dynamic_of_another_size_each_row(answers: Any) -> None:
    x = counting((4, 3))
    rows = [{"x": x, "begins": np.array([begin, 0], np.float32)} for begin in (0, 2, 3)]
    result = answers(lambda b: b.add_slice_dynamic("s", ["x", "begins"], "y", end_ids=[4, 2]), rows)
    for begin, answer in zip((0, 2, 3), result, strict=True):
        np.testing.assert_array_equal(answer["y"], x[begin:, :2])


def test_slice_errors(answers: Any) -> None:
    row = {"x": counting((2, 3)), "begins": np.zeros(2, np.float32)}

    def add(**stored: Any) -> Any:
        return lambda b: b.add_slice_dynamic("s", ["x", "begins"], "y", **stored)

    with pytest.raises(
        ModelError, match=r"layer 's': has 1 strides for an input of rank 2; check the layer that writes"
    ):
        answers(add(end_ids=[2, 2], strides=[1]), [row])
    with pytest.raises(ModelError, match=r"layer 's': has the stride 0 on axis 1"):
        answers(add(end_ids=[2, 2], strides=[1, 0]), [row])
    with pytest.raises(ModelError, match=r"layer 's': takes element 3 of axis 1, which has the size 3"):
        answers(add(squeeze_masks=[False, True]), [{**row, "begins": np.array([0, 3], np.float32)}])
    with pytest.raises(ModelError, match=r"layer 's': reads inf where it needs an integer"):
        answers(add(), [{**row, "begins": np.array([0, np.inf], np.float32)}] * 2)
    with pytest.raises(ModelError, match=r"layer 's': begins, ends, strides and masks differ in length; export"):
        answers(
            lambda b: b.add_slice_static("s", "x", "y", [0, 0], [1, 1], [1, 1], [False] * 2, [False] * 2),
            [{"x": row["x"]}],
            edit=lambda layer: layer.sliceStatic.beginIds.pop(),
        )


@settings(max_examples=15, deadline=None)
@given(data=st.data(), shape=SHAPES)
def test_slice_by_size(answers: Any, data: Any, shape: Any) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = data.draw(st.integers(1, shape[axis]))
    begins = [data.draw(st.integers(0, shape[axis] - size)) for _ in range(3)]
    x = counting(shape)
    result = answers(
        lambda b: b.add_slice_by_size("s", ["x", "begin"], "y", axis, size),
        [{"x": x, "begin": np.array([begin], np.float32)} for begin in begins],
    )
    for begin, answer in zip(begins, result, strict=True):
        np.testing.assert_array_equal(answer["y"], np.take(x, range(begin, begin + size), axis), strict=True)


@pytest.mark.parametrize(
    ("begin", "size", "words"),
    [(0, 4, "takes 4 of 3 along axis 0, expected 1 to 3"), (2, 2, "index"), (3, 1, "index 3 is out")],
)
def test_slice_by_size_past_the_end(answers: Any, begin: int, size: int, words: str) -> None:
    with pytest.raises(ModelError, match=f"layer 's': .*{words}"):
        answers(
            lambda b: b.add_slice_by_size("s", ["x", "begin"], "y", 0, size),
            [{"x": counting((3, 2)), "begin": np.array([begin], np.float32)}],
        )


@settings(max_examples=20, deadline=None)
@given(data=st.data(), shape=hnp.array_shapes(max_dims=4, max_side=6), step=st.integers(1, 4))
def test_sliding_windows(answers: Any, data: Any, shape: Any, step: int) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = data.draw(st.integers(1, shape[axis]))
    x = counting(shape)
    actual = answers(lambda b: b.add_sliding_windows("w", "x", "y", axis, size, step), [{"x": x}, {"x": -x}])
    front = axis % len(shape)
    windows = np.moveaxis(np.lib.stride_tricks.sliding_window_view(x, size, axis), -1, front + 1)
    expected = windows[(slice(None),) * front + (slice(None, None, step),)]
    np.testing.assert_array_equal(actual[0]["y"], expected, strict=True)
    np.testing.assert_array_equal(actual[1]["y"], -expected)


def test_windows_longer_than_the_axis(answers: Any) -> None:
    with pytest.raises(ModelError, match="layer 'w': windows of 5 on an axis of 4, expected 1 to 4; check"):
        answers(lambda b: b.add_sliding_windows("w", "x", "y", 0, 5), [{"x": counting((4,))}])


@settings(max_examples=15, deadline=None)
@given(data=st.data(), shape=SHAPES)
def test_reverse(answers: Any, data: Any, shape: Any) -> None:
    flags = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)).filter(any))
    x = counting(shape)
    actual = answers(lambda b: b.add_reverse("r", "x", "y", flags), [{"x": x}, {"x": -x}])
    expected = np.flip(x, [axis for axis, flag in enumerate(flags) if flag])
    np.testing.assert_array_equal(actual[0]["y"], expected, strict=True)
    np.testing.assert_array_equal(actual[1]["y"], -expected)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=2, max_dims=5, max_side=4))
def test_reverse_sequences(answers: Any, data: Any, shape: Any) -> None:
    rank = len(shape)
    batch, sequence = data.draw(st.permutations(range(rank)))[:2]
    rows = []
    for _ in range(2):
        lengths = hnp.arrays(np.float32, shape[batch], elements=st.integers(0, shape[sequence]))
        rows.append({"x": counting(shape), "n": data.draw(lengths)})
    actual = answers(
        lambda b: b.add_reverse_sequence("r", ["x", "n"], "y", batch, sequence - data.draw(st.sampled_from([0, rank]))),
        rows,
    )
    for row, answer in zip(rows, actual, strict=True):
        expected = np.moveaxis(row["x"].copy(), (batch, sequence), (0, 1))
        for item, length in zip(expected, row["n"].astype(int), strict=True):
            item[:length] = item[:length][::-1].copy()
        np.testing.assert_array_equal(answer["y"], np.moveaxis(expected, (0, 1), (batch, sequence)), strict=True)


def test_reverse_errors(answers: Any) -> None:
    x = counting((2, 3))
    with pytest.raises(ModelError, match="layer 'r': input has rank 2, the layer expects 1; check"):
        answers(lambda b: b.add_reverse("r", "x", "y", [True]), [{"x": x}])
    row = {"x": x, "n": np.array([4, 1], np.float32)}
    with pytest.raises(ModelError, match=r"layer 'r': cannot take 'x'.*index 3 is out of bounds"):
        answers(lambda b: b.add_reverse_sequence("r", ["x", "n"], "y"), [row])
    with pytest.raises(ModelError, match="layer 'r': has 3 lengths, expected 2, one per sequence"):
        answers(lambda b: b.add_reverse_sequence("r", ["x", "n"], "y"), [{**row, "n": np.ones(3, np.float32)}])
    with pytest.raises(ModelError, match="layer 'r': axis 1 is both the batch axis and the sequence axis; export"):
        answers(lambda b: b.add_reverse_sequence("r", ["x", "n"], "y", 1, -1), [row])
