"""convolution against torch's own, over drawn shapes."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime import load


def add_convolution(builder: Any, weights: Any, bias: Any, **settings: Any) -> None:
    """``weights`` in torch's layout; the builder wants [kH, kW, kernelChannels, outputChannels]."""
    transposed = settings.get("is_deconv", False)
    order = (2, 3, 0, 1) if transposed else (2, 3, 1, 0)
    groups = settings.get("groups", 1)
    builder.add_convolution(
        "conv",
        kernel_channels=weights.shape[0] if transposed else weights.shape[1],
        output_channels=weights.shape[1] * groups if transposed else weights.shape[0],
        height=weights.shape[2],
        width=weights.shape[3],
        W=weights.transpose(order),
        b=bias,
        has_bias=bias is not None,
        input_name="x",
        output_name="y",
        **{"stride_height": 1, "stride_width": 1, "border_mode": "valid", "groups": 1, **settings},
    )


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_valid_padding_equals_torch(make_model: Any, data: Any) -> None:
    draw = data.draw
    groups, per_group, out = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel, stride, dilation = (draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) for _ in range(3))
    pads = draw(st.tuples(*[st.integers(0, 3)] * 4))
    leading = draw(st.sampled_from([(), (1,), (2,), (2, 3)]))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    x = random.normal(size=(*leading, 1, groups * per_group, 9, 8)[-max(4, len(leading) + 3) :]).astype(np.float32)
    weights = random.normal(size=(groups * out, per_group, *kernel)).astype(np.float32)
    bias = random.normal(size=groups * out).astype(np.float32) if draw(st.booleans()) else None
    spec = make_model(
        lambda builder: add_convolution(
            builder, weights, bias, groups=groups, stride_height=stride[0], stride_width=stride[1],
            dilation_factors=list(dilation), padding_top=pads[0], padding_bottom=pads[1], padding_left=pads[2],
            padding_right=pads[3],
        ),
        {"x": x.shape},
        False,
    )  # fmt: skip
    actual = load(spec).predict({"x": x})["y"]
    flat = torch.from_numpy(x).reshape(-1, *x.shape[-3:])
    padded = functional.pad(flat, (pads[2], pads[3], pads[0], pads[1]))
    expected = functional.conv2d(
        padded, torch.from_numpy(weights), None if bias is None else torch.from_numpy(bias), stride, 0, dilation, groups
    )
    np.testing.assert_allclose(actual, expected.reshape(actual.shape).numpy(), rtol=1e-4, atol=1e-4)
    assert actual.shape[:-3] == x.shape[:-3]


@pytest.mark.parametrize("asymmetry", ["BOTTOM_RIGHT_HEAVY", "TOP_LEFT_HEAVY"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_same_padding(run_layer: Any, random: Any, asymmetry: str, stride: int, kernel: int) -> None:
    x = random.normal(size=(1, 2, 7, 7)).astype(np.float32)
    weights = random.normal(size=(3, 2, kernel, kernel)).astype(np.float32)
    actual = run_layer(
        lambda builder: add_convolution(
            builder, weights, None, border_mode="same", same_padding_asymmetry_mode=asymmetry,
            stride_height=stride, stride_width=stride,
        ),
        x=x,
    )  # fmt: skip
    assert actual.shape == (1, 3, -(-7 // stride), -(-7 // stride))
    total = max(0, (actual.shape[-1] - 1) * stride + kernel - 7)
    before = total - total // 2 if asymmetry == "TOP_LEFT_HEAVY" else total // 2
    wide = functional.pad(torch.from_numpy(x), (before, 9, before, 9))
    expected = functional.conv2d(wide, torch.from_numpy(weights), stride=stride)[
        ..., : actual.shape[2], : actual.shape[3]
    ]
    np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
def test_deconvolution_equals_torch(run_layer: Any, random: Any, groups: int, stride: int, padding: int) -> None:
    x = random.normal(size=(1, 4, 5, 6)).astype(np.float32)
    weights = random.normal(size=(4, 3, 4, 4)).astype(np.float32)
    bias = random.normal(size=3 * groups).astype(np.float32)
    border = {f"padding_{side}": padding for side in ("top", "bottom", "left", "right")}
    actual = run_layer(
        lambda builder: add_convolution(
            builder, weights, bias, is_deconv=True, groups=groups, stride_height=stride, stride_width=stride, **border
        ),
        x=x,
    )
    expected = functional.conv_transpose2d(
        torch.from_numpy(x), torch.from_numpy(weights), torch.from_numpy(bias), stride, padding, groups=groups
    )
    np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", [2, 3, 5])
def test_deconvolution_with_same_padding_and_output_shape(run_layer: Any, random: Any, kernel: int) -> None:
    x = random.normal(size=(1, 2, 4, 4)).astype(np.float32)
    weights = random.normal(size=(2, 3, kernel, kernel)).astype(np.float32)
    full = functional.conv_transpose2d(torch.from_numpy(x), torch.from_numpy(weights), stride=2).numpy()
    for settings_, size in (({"border_mode": "same"}, 8), ({"output_shape": [7, 7]}, 7)):
        result = run_layer(
            lambda builder, settings_=settings_: add_convolution(
                builder, weights, None, is_deconv=True, stride_height=2, stride_width=2, **settings_
            ),
            x=x,
        )
        start = max(0, full.shape[-1] - size) // 2
        wide = np.pad(full, ((0, 0), (0, 0), (0, 4), (0, 4)))
        np.testing.assert_allclose(result, wide[..., start : start + size, start : start + size], rtol=1e-4, atol=1e-5)


def test_wrong_channels_are_named(run_layer: Any, random: Any) -> None:
    weights = random.normal(size=(3, 4, 1, 1)).astype(np.float32)
    with pytest.raises(
        ModelError, match=r"layer 'conv': input has 9 channels, the layer expects 4; check the layer that"
    ):
        run_layer(lambda builder: add_convolution(builder, weights, None), x=np.zeros((1, 9, 2, 2), np.float32))


def test_wrong_count_of_weights_is_named(make_model: Any, random: Any) -> None:
    weights = random.normal(size=(3, 4, 1, 1)).astype(np.float32)
    spec = make_model(lambda builder: add_convolution(builder, weights, None), {"x": (1, 4, 2, 2)}, False)
    spec.neuralNetwork.layers[0].convolution.outputChannels = 2**40
    with pytest.raises(ModelError, match=r"layer 'conv': weights: contains 12 values, expected 4398046511104"):
        load(spec)


@settings(max_examples=10, deadline=None)
@given(groups=st.integers(1, 2), kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)), seed=st.integers(0, 99))
def test_weights_as_a_second_input_equal_torch(make_model: Any, groups: int, kernel: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(size=(1, 2 * groups, 6, 5)).astype(np.float32)
    weights = random.normal(size=(3 * groups, 2, *kernel)).astype(np.float32)

    def add(builder: Any) -> None:
        builder.add_convolution(
            "conv", 2, 3 * groups, *kernel, 1, 1, "valid", groups, None, None, False,
            input_name=["x", "w"], output_name="y",
        )  # fmt: skip

    model = load(make_model(add, {"x": x.shape, "w": weights.shape}, False))
    expected = functional.conv2d(torch.from_numpy(x), torch.from_numpy(weights), groups=groups).numpy()
    np.testing.assert_allclose(model.predict({"x": x, "w": weights})["y"], expected, rtol=1e-4, atol=1e-5)
    spec = make_model(add, {"x": x.shape, "w": (1, *weights.shape[1:])}, False)
    with pytest.raises(ModelError, match=r"layer 'conv': weights have the shape \[1, 2, .*\], the layer expects"):
        load(spec).predict({"x": x, "w": weights[:1]})
    spec.neuralNetwork.layers[0].convolution.isDeconvolution = True
    with pytest.raises(ModelError, match="layer 'conv': has 2 inputs, the layer expects 1"):
        load(spec)
