"""Layers that cut, move and repeat data, against NumPy's and torch's functions and the format's own examples."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from coreml_updatable.errors import ModelError

SIDES = st.integers(1, 4)
CHW = st.tuples(SIDES, SIDES, SIDES)
LEADS = st.sampled_from([(), (2,), (2, 3)])


def counting(*shape: int) -> Any:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@settings(max_examples=15, deadline=None)
@given(lead=LEADS, chw=CHW, cut=st.tuples(*[st.integers(0, 2)] * 4))
def test_crop_by_amounts(answers: Any, lead: Any, chw: Any, cut: Any) -> None:
    left, right, top, bottom = cut
    channels, height, width = chw[0], chw[1] + top + bottom, chw[2] + left + right
    x = counting(*lead, channels, height, width)
    (actual,) = answers(lambda b: b.add_crop("crop", left, right, top, bottom, [0, 0], ["x"], "y"), [{"x": x}])
    expected = x[..., top : height - bottom, left : width - right]
    np.testing.assert_array_equal(actual["y"], expected, strict=True)


@settings(max_examples=10, deadline=None)
@given(chw=CHW, offset=st.tuples(st.integers(0, 2), st.integers(0, 2)))
def test_crop_like_the_second_input(answers: Any, chw: Any, offset: Any) -> None:
    channels, height, width = chw
    x = counting(channels, height + 2, width + 2)
    rows = [{"x": x + n, "like": np.zeros((1, height, width), np.float32)} for n in range(2)]
    actual = answers(lambda b: b.add_crop("crop", 0, 0, 0, 0, list(offset), ["x", "like"], "y"), rows, rank5=True)
    for row, answer in zip(rows, actual, strict=True):
        expected = row["x"][:, offset[0] : offset[0] + height, offset[1] : offset[1] + width]
        np.testing.assert_array_equal(answer["y"].reshape(chw), expected)


def test_crop_of_too_much(answers: Any) -> None:
    with pytest.raises(
        ModelError, match="layer 'crop': axis -1 of the input has the size 3, which does not contain 2:2"
    ):
        answers(lambda b: b.add_crop("crop", 2, 1, 0, 0, [0, 0], ["x"], "y"), [{"x": counting(1, 3, 3)}])
    with pytest.raises(ModelError, match="layer 'crop': offset has 1 values, expected 2"):
        answers(
            lambda b: b.add_crop("crop", 1, 1, 0, 0, [0, 0], ["x"], "y"), [{"x": counting(1, 3, 3)}],
            edit=lambda layer: layer.crop.offset.pop(),
        )  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(data=st.data(), lead=LEADS, chw=CHW, axis=st.sampled_from(["channel", "height", "width"]))
def test_slice(answers: Any, data: Any, lead: Any, chw: Any, axis: str) -> None:
    at = ["channel", "height", "width"].index(axis) - 3
    size = chw[at]
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start + 1, size))
    if end < size and data.draw(st.booleans()):
        end -= size  # the same end, counted from behind
    stride = data.draw(st.integers(1, 3))
    x = counting(*lead, *chw)
    (result,) = answers(lambda b: b.add_slice("slice", "x", "y", axis, start, end, stride), [{"x": x}])
    kept = np.moveaxis(np.moveaxis(x, at, 0)[start:end:stride], 0, at)
    np.testing.assert_array_equal(result["y"], kept, strict=True)


def test_slice_from_the_end_and_its_faults(answers: Any) -> None:
    def add(builder: Any) -> None:
        builder.add_slice("slice", "x", "y", "width", 0, 3)

    def backwards(layer: Any) -> None:
        layer.slice.startIndex = -2

    (result,) = answers(add, [{"x": counting(3)}], edit=backwards)  # rank 1 has a width
    np.testing.assert_array_equal(result["y"], [1.0, 2.0])
    with pytest.raises(
        ModelError, match="layer 'slice': axis -1 of the input has the size 3, which does not contain 3:3"
    ):
        answers(lambda b: b.add_slice("slice", "x", "y", "width", 3, 3), [{"x": counting(3)}])
    with pytest.raises(ModelError, match="layer 'slice': stride 0 along axis 2, expected a stride of at least 1"):
        answers(add, [{"x": counting(3)}], edit=lambda layer: layer.slice.ClearField("stride"))
    with pytest.raises(ModelError, match="layer 'slice': input has rank 1, the layer expects at least 3"):
        answers(lambda b: b.add_slice("slice", "x", "y", "channel", 0, 3), [{"x": counting(3)}])


@settings(max_examples=15, deadline=None)
@given(lead=LEADS, chw=CHW, count=st.integers(1, 3))
def test_split(answers: Any, lead: Any, chw: Any, count: int) -> None:
    x = counting(*lead, chw[0] * count, *chw[1:])
    names = [f"y{n}" for n in range(count)]
    (actual,) = answers(lambda b: b.add_split("split", "x", names), [{"x": x}], outputs=names)
    for name, expected in zip(names, np.split(x, count, -3), strict=True):
        np.testing.assert_array_equal(actual[name], expected, strict=True)


def test_split_of_what_does_not_divide(answers: Any) -> None:
    with pytest.raises(ModelError, match="layer 'split': input has 3 channels, which cannot be split into 2 outputs"):
        answers(lambda b: b.add_split("split", "x", ["y", "z"]), [{"x": counting(3, 1, 1)}])
    with pytest.raises(ModelError, match="layer 'split': splits into 3 parts, expected 2"):
        answers(
            lambda b: b.add_split("split", "x", ["y", "z"]), [{"x": counting(3, 1, 1)}],
            edit=lambda layer: setattr(layer.split, "nOutputs", 3),
        )  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(shape=st.tuples(*[SIDES] * 5), order=st.permutations([0, 1, 2, 3]))
def test_permute(answers: Any, shape: Any, order: Any) -> None:
    x = counting(*shape)
    (result,) = answers(lambda b: b.add_permute("permute", order, "x", "y"), [{"x": x}])
    without_batch = np.stack([x[:, n].transpose(order) for n in range(shape[1])], 1)
    np.testing.assert_array_equal(result["y"], without_batch, strict=True)


def test_permute_of_lower_ranks_and_its_faults(answers: Any) -> None:
    x = counting(2, 3, 4)
    (result,) = answers(lambda b: b.add_permute("permute", [0, 3, 1, 2], "x", "y"), [{"x": x}])
    np.testing.assert_array_equal(result["y"], x.transpose(2, 0, 1), strict=True)
    with pytest.raises(ModelError, match="layer 'permute': input has rank 3, the layer expects at least 5"):
        answers(lambda b: b.add_permute("permute", [3, 1, 2, 0], "x", "y"), [{"x": x}])
    with pytest.raises(ModelError, match=r"layer 'permute': axis is \[0, 1, 2, 2\], expected an order of 0, 1, 2, 3"):
        answers(lambda b: b.add_permute("permute", [0, 1, 2, 2], "x", "y"), [{"x": x}])


def flat(x: Any, channels_last: bool) -> Any:
    """[Seq, B, C, H, W] as the format flattens it: each batch's values in one line."""
    ordered = x.transpose(1, 0, 3, 4, 2) if channels_last else x.transpose(1, 0, 2, 3, 4)
    return ordered.reshape(x.shape[1], -1)


@settings(max_examples=20, deadline=None)
@given(shape=st.tuples(*[SIDES] * 5), last=st.booleans(), whole=st.booleans(), order=st.permutations(range(4)))
def test_reshape(answers: Any, shape: Any, last: bool, whole: bool, order: Any) -> None:
    """Reading both blobs as the format flattens them gives the same line of values."""
    kept = [shape[0], *shape[2:]]
    target = [kept[at] for at in order] if whole else [shape[4], shape[2], shape[3]]
    x = counting(*shape)
    (result,) = answers(lambda b: b.add_reshape("reshape", "x", "y", target, int(last)), [{"x": x}])
    lead = (target[0], shape[1]) if whole else shape[:2]
    assert result["y"].shape == (*lead, *target[-3:])
    np.testing.assert_array_equal(flat(result["y"], last), flat(x, last))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("at", range(4))
def test_reshape_infers_one_size(answers: Any, at: int, last: bool) -> None:
    """-1, which onnx-coreml wrote, stands for what the other sizes leave."""
    x = counting(2, 3, 4, 5, 6)
    for target in ([2, 4, 15, 2], [20, 3, 2])[: 2 if at else 1]:
        sizes = [-1 if place == at % len(target) else size for place, size in enumerate(target)]
        wanted, result = (
            answers(lambda b, to=to: b.add_reshape("reshape", "x", "y", to, int(last)), [{"x": x}])[0]["y"]
            for to in (target, sizes)
        )
        np.testing.assert_array_equal(result, wanted, strict=True)


def test_reshape_that_does_not_fit(answers: Any) -> None:
    x = counting(1, 1, 2, 3, 4)
    with pytest.raises(ModelError, match=r"layer 'reshape': input has the shape .* cannot become \[2, 3, 5\]"):
        answers(lambda b: b.add_reshape("reshape", "x", "y", [2, 3, 5], 0), [{"x": x}])
    for target, fault in (
        ([-1, 5, 1], "cannot become"),
        ([-1, -1, 4], r"targetShape is \[-1, -1, 4\], expected sizes of at least 1"),
        ([0, 3, 4], r"targetShape is \[0, 3, 4\]"),
        ([-2, 3, -4], r"targetShape is \[-2, 3, -4\]"),
    ):
        with pytest.raises(ModelError, match=f"layer 'reshape': .*{fault}"):
            answers(lambda b, to=target: b.add_reshape("reshape", "x", "y", to, 0), [{"x": x}])
    with pytest.raises(ModelError, match="layer 'reshape': targetShape has 2 sizes, expected 3 or 4"):
        answers(
            lambda b: b.add_reshape("reshape", "x", "y", [2, 3, 4], 0), [{"x": x}],
            edit=lambda layer: layer.reshape.targetShape.pop(),
        )  # fmt: skip


@settings(max_examples=10, deadline=None)
@given(shape=st.tuples(*[SIDES] * 5), count=st.integers(0, 3))
def test_sequence_repeat(answers: Any, shape: Any, count: int) -> None:
    x = counting(*shape)
    (result,) = answers(lambda b: b.add_sequence_repeat("repeat", count, "x", "y"), [{"x": x}])
    np.testing.assert_array_equal(result["y"], np.tile(x, (count or 1, 1, 1, 1, 1)), strict=True)


def test_sequence_repeat_of_absurd_length(answers: Any) -> None:
    with pytest.raises(ModelError, match=r"layer 'repeat': needs .* of memory"):
        answers(lambda b: b.add_sequence_repeat("repeat", 2**40, "x", "y"), [{"x": counting(1, 1, 1, 1, 1)}])


@settings(max_examples=15, deadline=None)
@given(lead=LEADS, chw=CHW, size=st.integers(2, 3))
def test_space_to_depth_and_back(answers: Any, lead: Any, chw: Any, size: int) -> None:
    channels, height, width = chw
    x = counting(*lead, channels, height * size, width * size)
    (result,) = answers(lambda b: b.add_reorganize_data("move", "x", "y", "SPACE_TO_DEPTH", size), [{"x": x}])
    blocks = [x[..., i::size, j::size] for i in range(size) for j in range(size)]
    np.testing.assert_array_equal(result["y"], np.concatenate(blocks, -3), strict=True)
    (back,) = answers(lambda b: b.add_reorganize_data("move", "x", "y", "DEPTH_TO_SPACE", size), [{"x": result["y"]}])
    np.testing.assert_array_equal(back["y"], x, strict=True)


def test_depth_to_space_and_pixel_shuffle_as_in_the_formats_example(answers: Any) -> None:
    x = np.arange(1, 17, dtype=np.float32).reshape(8, 1, 2)
    (deep,) = answers(lambda b: b.add_reorganize_data("move", "x", "y", "DEPTH_TO_SPACE", 2), [{"x": x}], rank5=True)
    expected = [[[1, 5, 2, 6], [9, 13, 10, 14]], [[3, 7, 4, 8], [11, 15, 12, 16]]]
    np.testing.assert_array_equal(deep["y"].reshape(2, 2, 4), expected)
    (shuffled,) = answers(lambda b: b.add_reorganize_data("move", "x", "y", "PIXEL_SHUFFLE", 2), [{"x": x}])
    np.testing.assert_array_equal(shuffled["y"], functional.pixel_shuffle(torch.from_numpy(x), 2).numpy())


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("SPACE_TO_DEPTH", r"input has the shape \[2, 3, 4\], which blocks of 2 x 2 do not fill"),
        ("DEPTH_TO_SPACE", "input has 2 channels, the layer expects a multiple of 4"),
        ("PIXEL_SHUFFLE", "input has 2 channels, the layer expects a multiple of 4"),
    ],
)
def test_reorganizing_what_does_not_divide(answers: Any, mode: str, message: str) -> None:
    with pytest.raises(ModelError, match=f"layer 'move': {message}"):
        answers(lambda b: b.add_reorganize_data("move", "x", "y", mode, 2), [{"x": counting(2, 3, 4)}])
    with pytest.raises(ModelError, match=r"layer 'move': mode . with blockSize 1, expected"):
        answers(
            lambda b: b.add_reorganize_data("move", "x", "y", mode, 2), [{"x": counting(4, 2, 2)}],
            edit=lambda layer: setattr(layer.reorganizeData, "blockSize", 1),
        )  # fmt: skip


@pytest.mark.parametrize("shape", [(2, 3, 4), (5,)])
def test_load_constant_has_rank_5(answers: Any, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def add(builder: Any) -> None:
        builder.add_load_constant("constant", "c", values, shape)
        builder.add_add_broadcastable("add", ["x", "c"], "y")

    (result,) = answers(add, [{"x": np.zeros((1, 1, 1, 1, 1), np.float32)}])
    np.testing.assert_array_equal(result["y"], values.reshape((1,) * (5 - len(shape)) + shape), strict=True)
    with pytest.raises(ModelError, match="layer 'constant': shape has 0 values, expected 3"):
        answers(
            add, [{"x": np.zeros((1, 1, 1, 1, 1), np.float32)}],
            edit=lambda layer: layer.loadConstant.ClearField("shape"),
        )  # fmt: skip
