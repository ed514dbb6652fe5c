"""convolution3d, pooling3d and globalPooling3d against torch's."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from coreml_updatable.errors import ModelError

AXES = ("depth", "height", "width")
SIDES = ("front", "back", "top", "bottom", "left", "right")
DILATIONS = st.tuples(*[st.integers(1, 2)] * 3)
TRIPLES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
SIZES = st.tuples(*[st.integers(5, 7)] * 3)
BORDERS = st.tuples(*[st.integers(0, 1)] * 6)
MODES = st.sampled_from(["valid", "same", "custom"])


def drawn(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def named(kind: str, places: tuple[str, ...], values: Any) -> dict[str, int]:
    return {f"{kind}_{place}": value for place, value in zip(places, values, strict=True)}


def same(size: Any, span: Any, stride: Any) -> tuple[int, ...]:
    """TensorFlow's rule, which is the format's: ceil(size / stride) outputs, the odd one behind."""
    borders: list[int] = []
    for length, reach, step in zip(size, span, stride, strict=True):
        total = max((int(np.ceil(length / step)) - 1) * step + reach - length, 0)
        borders += [total // 2, total - total // 2]
    return tuple(borders)


def around(x: Any, borders: Any, value: float = 0.0) -> torch.Tensor:
    pairs = [borders[at : at + 2] for at in (0, 2, 4)]
    padded = np.pad(x, [(0, 0), (0, 0), *pairs], constant_values=value)
    return torch.from_numpy(padded)


@settings(max_examples=25, deadline=None)
@given(
    size=SIZES, kernel=TRIPLES, stride=TRIPLES, dilation=DILATIONS, groups=st.sampled_from([1, 2]),
    mode=MODES, borders=BORDERS, biased=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_convolution(
    answers: Any, size: Any, kernel: Any, stride: Any, dilation: Any, groups: int, mode: str, borders: Any,
    biased: bool, seed: int,
) -> None:  # fmt: skip
    w, b = drawn(seed, 4, 2 // groups, *kernel), drawn(seed + 1, 4)
    rows = [{"x": drawn(seed + 2 + index, 2, 2, *size)} for index in range(2)]
    result = answers(
        lambda builder: builder.add_convolution3d(
            "conv", 2, 4, *kernel, w, b, biased, groups, **named("stride", AXES, stride),
            **named("dilation", AXES, dilation), padding_mode=mode,
            **named("padding", SIDES, borders), input_name="x", output_name="y",
        ),
        rows,
    )  # fmt: skip
    span = [(length - 1) * step + 1 for length, step in zip(kernel, dilation, strict=True)]
    used = {"valid": (0,) * 6, "same": same(size, span, stride), "custom": borders}[mode]
    for row, answer in zip(rows, result, strict=True):
        bias = torch.from_numpy(b) if biased else None
        peer = functional.conv3d(around(row["x"], used), torch.from_numpy(w), bias, stride, 0, dilation, groups)
        np.testing.assert_allclose(answer["y"], peer.numpy(), rtol=1e-4, atol=1e-4, strict=True)


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(*[st.integers(2, 3)] * 3), kernel=TRIPLES, stride=DILATIONS,
    groups=st.sampled_from([1, 2]), mode=MODES, borders=BORDERS, sized=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_deconvolution(
    answers: Any, size: Any, kernel: Any, stride: Any, groups: int, mode: str, borders: Any, sized: bool, seed: int
) -> None:
    """torch's layout is [C_in, C_out / groups, ...]; the builder wants the first two axes the other way round."""
    w, b, x = drawn(seed, 2, 4 // groups, *kernel), drawn(seed + 1, 4), drawn(seed + 2, 1, 2, *size)
    full = functional.conv_transpose3d(
        torch.from_numpy(x), torch.from_numpy(w), torch.from_numpy(b), stride, groups=groups
    ).numpy()
    wanted = tuple(length * step for length, step in zip(size, stride, strict=True))
    if sized or mode == "same":
        totals = [has - wants for has, wants in zip(full.shape[2:], wanted, strict=True)]
        cuts = [(int(total / 2), total - int(total / 2)) for total in totals]
    else:
        cuts = [(borders[at], borders[at + 1]) if mode == "custom" else (0, 0) for at in (0, 2, 4)]
        if any(before + after >= length for (before, after), length in zip(cuts, full.shape[2:], strict=True)):
            return
    (actual,) = answers(
        lambda builder: builder.add_convolution3d(
            "conv", 2, 4, *kernel, w.transpose(1, 0, 2, 3, 4), b, True, groups,
            **named("stride", AXES, stride), is_deconv=True,
            output_shape=wanted if sized else None, padding_mode=mode,
            **named("padding", SIDES, borders), input_name="x", output_name="y",
        ),
        [{"x": x}],
    )  # fmt: skip
    expected = full
    for axis, (before, after) in enumerate(cuts, 2):
        padded = np.pad(expected, [(0, 0)] * axis + [(max(0, -before), max(0, -after))] + [(0, 0)] * (4 - axis))
        length = padded.shape[axis]
        expected = padded.take(range(max(0, before), length - max(0, after)), axis)
    np.testing.assert_allclose(actual["y"], expected, rtol=1e-4, atol=1e-4, strict=True)


@settings(max_examples=25, deadline=None)
@given(
    size=SIZES, kernel=TRIPLES, stride=TRIPLES, mode=MODES, borders=BORDERS, kind=st.sampled_from(["MAX", "AVERAGE"]),
    exclude=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_pooling(
    answers: Any, size: Any, kernel: Any, stride: Any, mode: str, borders: Any, kind: str, exclude: bool, seed: int
) -> None:
    borders = [
        min(border, kernel[index // 2] - 1) for index, border in enumerate(borders)
    ]  # no window of padding alone
    rows = [{"x": drawn(seed + index, 1, 2, *size)} for index in range(2)]
    result = answers(lambda b: b.add_pooling3d("pool", "x", "y", kind, *kernel, *stride, mode, *borders, exclude), rows)
    used = {"valid": (0,) * 6, "same": same(size, kernel, stride), "custom": borders}[mode]
    for row, answer in zip(rows, result, strict=True):
        if kind == "MAX":
            peer = functional.max_pool3d(around(row["x"], used, -np.inf), kernel, stride)
        else:
            ones = np.ones_like(row["x"])
            peer = functional.avg_pool3d(around(row["x"], used), kernel, stride, divisor_override=1)
            inside = functional.avg_pool3d(around(ones, used), kernel, stride, divisor_override=1)
            peer = peer / (inside if exclude else np.prod(kernel))
        np.testing.assert_allclose(answer["y"], peer.numpy(), rtol=1e-4, atol=1e-5, strict=True)


def test_global_pooling(answers: Any) -> None:
    x = drawn(0, 2, 3, 4, 5, 6)
    (result,) = answers(lambda b: b.add_global_pooling3d("pool", "x", "y", "MAX"), [{"x": x}])
    np.testing.assert_array_equal(result["y"], x.max((2, 3, 4), keepdims=True), strict=True)
    (result,) = answers(lambda b: b.add_global_pooling3d("pool", "x", "y", "AVERAGE"), [{"x": x}])
    np.testing.assert_allclose(result["y"], x.mean((2, 3, 4), keepdims=True), rtol=1e-4, atol=1e-6, strict=True)


def convolving(builder: Any) -> None:
    builder.add_convolution3d(
        "conv", 2, 4, 1, 1, 1, drawn(0, 4, 2, 1, 1, 1), None, False, input_name="x", output_name="y"
    )


PADDINGS = [f"customPadding{side.capitalize()}" for side in SIDES]
FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"kernelHeight": 0}, r"kernel is \[1, 0, 1\], expected at least 1"),
    ({"nGroups": 3}, "3 groups of 2 input and 4 output channels, expected a number that divides"),
    ({"outputChannels": 5}, "weights: contains 8 values, expected 10"),
    ({"paddingType": 0, "customPaddingTop": -1}, "borders .* expected 0 to 65536"),
    ({"paddingType": 0, **dict.fromkeys(PADDINGS, 65536)}, "needs .* of memory"),
    ({"isDeconvolution": True, "strideDepth": 2**30}, "needs .* of memory"),
    ({"isDeconvolution": True, "outputShape": [3]}, r"outputShape is \[3\], expected 3 sizes"),
    ({"isDeconvolution": True, "outputShape": [3, 3, 9]}, r"outputShape is \[3, 3, 9\], the layer makes \[3, 3, 3\]"),
]


@pytest.mark.parametrize(("changes", "message"), FAULTS)
def test_faults_of_the_message(answers: Any, changes: dict[str, Any], message: str) -> None:
    def edit(layer: Any) -> None:
        layer.convolution3d.outputShape.extend(changes.get("outputShape", []))
        for name in set(changes) - {"outputShape"}:
            setattr(layer.convolution3d, name, changes[name])

    with pytest.raises(ModelError, match=f"layer 'conv': {message}"):
        answers(convolving, [{"x": drawn(0, 1, 2, 3, 3, 3)}], edit=edit)


def test_wrong_inputs(answers: Any) -> None:
    with pytest.raises(ModelError, match="layer 'conv': input has 3 channels, the layer expects 2"):
        answers(convolving, [{"x": drawn(0, 1, 3, 3, 3, 3)}])
    with pytest.raises(ModelError, match="layer 'conv': input has rank 4, the layer expects 5"):
        answers(convolving, [{"x": drawn(0, 2, 3, 3, 3)}])
    with pytest.raises(ModelError, match="layer 'pool': input has rank 4, the layer expects 5"):
        answers(lambda b: b.add_global_pooling3d("pool", "x", "y", "MAX"), [{"x": drawn(0, 2, 3, 3, 3)}])
