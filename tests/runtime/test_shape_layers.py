"""Layers that move elements, against NumPy and torch."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime import load
from coreml_updatable.spec.shapes import blob_shapes

X = np.random.default_rng(2).normal(size=(2, 3, 4, 5)).astype(np.float32)


def test_flatten_channel_first_and_last(run_layer: Any) -> None:
    result = run_layer(lambda b: b.add_flatten("f", 0, "x", "y"), x=X)
    np.testing.assert_array_equal(result, X.reshape(2, 60, 1, 1))
    result = run_layer(lambda b: b.add_flatten("f", 1, "x", "y"), x=X)
    np.testing.assert_array_equal(result, X.transpose(0, 2, 3, 1).reshape(2, 60, 1, 1))


def test_reshapes(run_layer: Any) -> None:
    result = run_layer(lambda b: b.add_reshape_static("r", "x", "y", [6, -1]), x=X)
    np.testing.assert_array_equal(result, X.reshape(6, -1))
    result = run_layer(lambda b: b.add_rank_preserving_reshape("r", "x", "y", [0, 12, -1, 1]), x=X)
    np.testing.assert_array_equal(result, X.reshape(2, 12, 5, 1))
    with pytest.raises(ModelError, match=r"layer 'r': cannot take 'x' \[2, 3, 4, 5\]"):
        run_layer(lambda b: b.add_reshape_static("r", "x", "y", [7, 11]), x=X)


def test_squeeze_expand_transpose(run_layer: Any) -> None:
    thin = X[:1, :, :, :1]
    np.testing.assert_array_equal(run_layer(lambda b: b.add_squeeze("s", "x", "y", [0, -1]), x=thin), thin[0, :, :, 0])
    np.testing.assert_array_equal(
        run_layer(lambda b: b.add_squeeze("s", "x", "y", squeeze_all=True), x=thin), thin[0, :, :, 0]
    )
    with pytest.raises(ModelError, match="axis 1 of the input has the size 3"):
        run_layer(lambda b: b.add_squeeze("s", "x", "y", [1]), x=X)
    small = X[0, 0]
    for axes in ([0, 2], [-2, -1], [0, 1]):
        result = run_layer(lambda b, axes=axes: b.add_expand_dims("e", "x", "y", axes), x=small)
        np.testing.assert_array_equal(result, np.expand_dims(small, tuple(axes)))
    result = run_layer(lambda b: b.add_transpose("t", [3, 1, 0, 2], "x", "y"), x=X)
    np.testing.assert_array_equal(result, X.transpose(3, 1, 0, 2))


def test_concat(run_layer: Any) -> None:
    result = run_layer(lambda b: b.add_elementwise("c", ["x", "z"], "y", "CONCAT"), x=X, z=X + 1)
    np.testing.assert_array_equal(result, np.concatenate([X, X + 1], 1))
    result = run_layer(lambda b: b.add_concat_nd("c", ["x", "z"], "y", -1), x=X, z=X + 1)
    np.testing.assert_array_equal(result, np.concatenate([X, X + 1], -1))
    result = run_layer(lambda b: b.add_concat_nd("c", ["x", "z"], "y", 1, interleave=True), x=X, z=X + 1)
    np.testing.assert_array_equal(result, np.stack([X, X + 1], 2).reshape(2, 6, 4, 5))


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_slice_equals_numpy(make_model: Any, data: Any) -> None:
    begins = data.draw(st.tuples(*[st.integers(-2, 1)] * 4))
    ends = data.draw(st.tuples(*[st.integers(-2, 6)] * 4))
    strides = data.draw(st.tuples(*[st.sampled_from([1, 2, -1, -2])] * 4))
    masks = data.draw(st.tuples(*[st.tuples(st.booleans(), st.booleans())] * 4))
    sections = tuple(
        slice(None if first else begin, None if last else end, stride)
        for begin, end, stride, (first, last) in zip(begins, ends, strides, masks, strict=True)
    )
    expected = X[sections]
    if not expected.size:
        return
    spec = make_model(
        lambda b: b.add_slice_static(
            "s", "x", "y", list(begins), list(ends), list(strides), [m[0] for m in masks], [m[1] for m in masks],
            [False] * 4,
        ),
        {"x": X.shape},
        False,
    )  # fmt: skip
    np.testing.assert_array_equal(load(spec).predict({"x": X})["y"], expected)


def test_slice_squeezes(run_layer: Any) -> None:
    result = run_layer(
        lambda b: b.add_slice_static(
            "s", "x", "y", [1, 0, 0, 0], [2, 0, 0, 0], [1] * 4, [False] + [True] * 3, [False] + [True] * 3,
            [True, False, False, False],
        ),
        x=X,
    )  # fmt: skip
    np.testing.assert_array_equal(result, X[1])


def test_split(make_model: Any) -> None:
    def add(builder: Any) -> None:
        builder.add_split_nd("s", "x", ["a", "y"], axis=-1, split_sizes=[2, 3])

    result = load(make_model(add, {"x": X.shape}, False)).predict({"x": X}, intermediate=True)
    np.testing.assert_array_equal(result["a"], X[..., :2])
    np.testing.assert_array_equal(result["y"], X[..., 2:])


@settings(max_examples=30, deadline=None)
@given(data=st.data(), shape=st.lists(st.integers(1, 6), min_size=1, max_size=5), count=st.integers(2, 4))
def test_split_into_parts_that_are_not_alike(make_model: Any, data: Any, shape: list[int], count: int) -> None:
    """The format supports unequal splits; coremltools' own test of the layer compares with numpy.array_split."""
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    names = [*(f"a{index}" for index in range(count - 1)), "y"]
    spec = make_model(lambda b: b.add_split_nd("s", "x", names, axis, count), {"x": tuple(shape)}, False)
    if shape[axis] < count:
        message = f"has the size {shape[axis]}, expected at least {count}, one for each part"
        with pytest.raises(ModelError, match=message):
            load(spec).predict({"x": x})
        return
    actual = load(spec).predict({"x": x}, intermediate=True)
    for name, expected in zip(names, np.array_split(x, count, axis), strict=True):
        np.testing.assert_array_equal(actual[name].astype(np.float32), expected, strict=True)
        for length, size in zip(blob_shapes(spec)[name], expected.shape, strict=True):
            assert length in (None, size)


@pytest.mark.parametrize(
    ("kind", "mode"), [("constant", "constant"), ("reflection", "reflect"), ("replication", "edge")]
)
def test_padding(run_layer: Any, kind: str, mode: str) -> None:
    result = run_layer(lambda b: b.add_padding("p", 1, 2, 1, 3, 0.5, "x", "y", kind), x=X)
    rest = {"constant_values": 0.5} if mode == "constant" else {}
    sides = run_sides(result.shape)
    np.testing.assert_array_equal(result, np.pad(X, ((0, 0), (0, 0), *sides), mode, **rest))  # type: ignore[call-overload]


def run_sides(shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The builder's order of the four sides is left, right, top, bottom."""
    assert shape == (2, 3, 8, 8)
    return (1, 3), (1, 2)


def test_reductions(run_layer: Any) -> None:
    for name, function in (("mean", np.mean), ("sum", np.sum), ("max", np.max), ("min", np.min)):
        for axes, keep in (([1, -1], True), ([0], False)):
            result = run_layer(
                lambda b, name=name, axes=axes, keep=keep: getattr(b, f"add_reduce_{name}")("r", "x", "y", axes, keep),
                x=X,
            )
            np.testing.assert_allclose(result, function(X, tuple(axes), keepdims=keep), rtol=1e-5, atol=1e-6)
        result = run_layer(
            lambda b, name=name: getattr(b, f"add_reduce_{name}")("r", "x", "y", None, False, reduce_all=True), x=X
        )
        np.testing.assert_allclose(result, [function(X)], rtol=1e-4, atol=1e-4)


def test_upsample_nearest_and_bilinear(run_layer: Any) -> None:
    source = torch.from_numpy(X)
    actual = run_layer(lambda b: b.add_upsample("u", 2, 3, "x", "y", "NN"), x=X)
    np.testing.assert_array_equal(actual, functional.interpolate(source, scale_factor=(2, 3)).numpy())
    for mode, aligned in (("ALIGN_CORNERS_TRUE", True), ("ALIGN_CORNERS_FALSE", False)):
        actual = run_layer(lambda b, mode=mode: b.add_upsample("u", 2, 3, "x", "y", "BILINEAR", mode), x=X)
        expected = functional.interpolate(source, scale_factor=(2, 3), mode="bilinear", align_corners=aligned)
        np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_upsample_by_the_default_grid(run_layer: Any) -> None:
    actual = run_layer(lambda b: b.add_upsample("u", 1, 3, "x", "y", "BILINEAR", "DEFAULT"), x=X)
    points = np.minimum(4, np.linspace(0, 5 - 5 / 15, 15))
    expected = np.apply_along_axis(lambda line: np.interp(points, range(5), line), -1, X)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_inner_product_keeps_the_rank(run_layer: Any, random: Any) -> None:
    bias = random.normal(size=2).astype(np.float32)
    for shape, inputs, wanted in (
        ((5,), 5, (2,)),
        ((4, 5), 5, (4, 2)),
        ((3, 4, 5), 5, (3, 4, 2)),
        ((2, 3, 4, 5), 60, (2, 2, 1, 1)),
        ((2, 2, 3, 4, 5), 60, (2, 2, 2, 1, 1)),
    ):
        weights = random.normal(size=(2, inputs)).astype(np.float32)
        x = random.normal(size=shape).astype(np.float32)
        result = run_layer(lambda b, w=weights, n=inputs: b.add_inner_product("fc", w, bias, n, 2, True, "x", "y"), x=x)
        assert result.shape == wanted
        np.testing.assert_allclose(
            result.reshape(-1, 2), x.reshape(-1, inputs) @ weights.T + bias, rtol=1e-4, atol=1e-5
        )


def test_a_constant(run_layer: Any, random: Any) -> None:
    data = random.normal(size=(4, 5)).astype(np.float32)

    def add(builder: Any) -> None:
        builder.add_load_constant_nd("k", "c", data, data.shape)
        builder.add_add_broadcastable("a", ["x", "c"], "y")

    np.testing.assert_allclose(run_layer(add, x=X), X + data, rtol=1e-6)


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda b: b.add_split_nd("it", "x", ["y", "z"], 9), "axis is 9, expected -3 to 2"),
        (lambda b: b.add_split_nd("it", "x", ["y", "z"], 0), "axis 0 of the input has the size 1, expected at least 2"),
        (lambda b: b.add_expand_dims("it", "x", "y", [9]), "axis is 9, expected -4 to 3"),
        (lambda b: b.add_squeeze("it", "x", "y", axes=[9]), "axis is 9, expected -3 to 2"),
        (lambda b: b.add_concat_nd("it", ["x", "x"], "y", 9), "axis is 9, expected -3 to 2"),
        (lambda b: b.add_reduce_prod("it", "x", "y", [9]), "axis is 9, expected -3 to 2"),
    ],
)
def test_an_axis_that_the_input_does_not_have(run_layer: Any, add: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        run_layer(add, x=np.ones((1, 4, 5), np.float32))


@pytest.mark.parametrize("count", [0, 3])
def test_a_split_into_other_than_its_outputs(make_model: Any, count: int) -> None:
    spec = make_model(lambda b: b.add_split_nd("it", "x", ["y", "z"], 1), {"x": (1, 4, 5)}, False)
    spec.neuralNetwork.layers[0].splitND.numSplits = count
    with pytest.raises(ModelError, match=f"layer 'it': splits into {count} parts, expected 2, one per output"):
        load(spec)


def test_a_split_whose_sizes_do_not_add_up(run_layer: Any) -> None:
    message = r"axis 1 of the input has the size 4, expected 5 to be split into \[2, 3\]"
    with pytest.raises(ModelError, match=message):
        run_layer(
            lambda b: b.add_split_nd("it", "x", ["y", "z"], 1, split_sizes=[2, 3]), x=np.ones((1, 4, 5), np.float32)
        )


@pytest.mark.parametrize("kind", ["scale", "bias"])
def test_scale_and_bias_never_make_the_input_larger(run_layer: Any, make_model: Any, kind: str) -> None:
    values = np.arange(1, 4, dtype=np.float32)

    def add(builder: Any) -> None:
        if kind == "scale":
            builder.add_scale("it", values, None, False, "x", "y", shape_scale=[3])
        else:
            builder.add_bias("it", values, "x", "y", [3])

    x = np.ones((2, 3, 2, 2), np.float32)
    expected = x * values[:, None, None] if kind == "scale" else x + values[:, None, None]
    np.testing.assert_array_equal(run_layer(add, x=x), expected)
    for shape, message in (
        ((1, 2, 2), r"shape \[1, 2, 2\], .* one that fits \[3\]"),
        ((3,), "input has rank 1"),
    ):
        with pytest.raises(ModelError, match=message):
            run_layer(add, x=np.ones(shape, np.float32))
    spec = make_model(add, {"x": (3, 2, 2)}, False)
    layer = getattr(spec.neuralNetwork.layers[0], kind)
    (layer.shapeScale if kind == "scale" else layer.shape)[:] = [3, 1]
    with pytest.raises(ModelError, match="layer 'it': has a shape of 2 sizes, expected 1 or 3"):
        load(spec)
