"""pooling against torch's own."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from coreml_updatable.runtime import load

GEOMETRY = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 1), st.integers(5, 9))


def pool(make_model: Any, kind: str, x: Any, kernel: int, stride: int, border: str, pad: int, exclude: bool) -> Any:
    def add(builder: Any) -> None:
        builder.add_pooling(
            "pool", kernel, kernel, stride, stride, kind, border, "x", "y", exclude_pad_area=exclude,
            padding_top=pad, padding_bottom=pad, padding_left=pad, padding_right=pad,
        )  # fmt: skip

    return load(make_model(add, {"x": x.shape}, False)).predict({"x": x})["y"]


@settings(max_examples=30, deadline=None)
@given(geometry=GEOMETRY, ceil=st.booleans(), exclude=st.booleans())
def test_maximum_and_average_equal_torch(make_model: Any, geometry: Any, ceil: bool, exclude: bool) -> None:
    kernel, stride, pad, size = geometry
    pad = min(pad, kernel // 2)
    x = np.random.default_rng(size).normal(size=(1, 2, size, size + 1)).astype(np.float32)
    border = "include_last_pixel" if ceil else "valid"
    expected = functional.max_pool2d(torch.from_numpy(x), kernel, stride, pad, ceil_mode=ceil).numpy()
    actual = pool(make_model, "MAX", x, kernel, stride, border, pad, exclude)
    if pad or not ceil:  # without padding the format lets the last window begin outside, torch does not
        np.testing.assert_allclose(actual, expected)
        average = functional.avg_pool2d(torch.from_numpy(x), kernel, stride, pad, ceil, not exclude).numpy()
        actual = pool(make_model, "AVERAGE", x, kernel, stride, border, pad, exclude)
        np.testing.assert_allclose(actual, average, rtol=1e-5, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(geometry=GEOMETRY)
def test_l2_is_the_root_of_the_sum_of_squares(make_model: Any, geometry: Any) -> None:
    kernel, stride, _, size = geometry
    x = np.random.default_rng(size).normal(size=(1, 2, size, size)).astype(np.float32)
    expected = functional.lp_pool2d(torch.from_numpy(x), 2.0, kernel, stride).numpy()
    np.testing.assert_allclose(pool(make_model, "L2", x, kernel, stride, "valid", 0, False), expected, rtol=1e-4)


def test_global_pooling(run_layer: Any, random: Any) -> None:
    x = random.normal(size=(1, 3, 4, 5)).astype(np.float32)
    by_kind = {"MAX": x.max((2, 3)), "AVERAGE": x.mean((2, 3)), "L2": np.sqrt((x**2).sum((2, 3)))}
    for kind, expected in by_kind.items():
        actual = run_layer(
            lambda builder, kind=kind: builder.add_pooling("pool", 1, 1, 1, 1, kind, "valid", "x", "y", is_global=True),
            x=x,
        )
        np.testing.assert_allclose(actual, expected[:, :, None, None], rtol=1e-5)


def test_same_padding_keeps_the_size(make_model: Any, random: Any) -> None:
    x = random.normal(size=(1, 1, 6, 6)).astype(np.float32)
    actual = pool(make_model, "AVERAGE", x, 3, 1, "same", 0, True)
    expected = functional.avg_pool2d(torch.from_numpy(x), 3, 1, 1, count_include_pad=False).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_an_unset_kernel_is_three_by_three(make_model: Any, random: Any) -> None:
    x = random.normal(size=(1, 1, 5, 5)).astype(np.float32)
    spec = make_model(
        lambda builder: builder.add_pooling("pool", 1, 1, 1, 1, "MAX", "valid", "x", "y"), {"x": x.shape}, False
    )
    del spec.neuralNetwork.layers[0].pooling.kernelSize[:]
    del spec.neuralNetwork.layers[0].pooling.stride[:]
    result = load(spec).predict({"x": x})["y"]
    np.testing.assert_array_equal(result, functional.max_pool2d(torch.from_numpy(x), 3, 1).numpy())


@pytest.mark.parametrize("values", [[3], [0, 3]])
def test_a_bad_kernel_size_is_refused(make_model: Any, values: list[int]) -> None:
    from coreml_updatable.errors import ModelError

    spec = make_model(
        lambda builder: builder.add_pooling("pool", 1, 1, 1, 1, "MAX", "valid", "x", "y"), {"x": (1, 1, 5, 5)}, False
    )
    spec.neuralNetwork.layers[0].pooling.kernelSize[:] = values
    with pytest.raises(ModelError, match="layer 'pool': kernelSize"):
        load(spec)
