"""resizeBilinear and cropResize against numpy.interp at the points of the format's text; upsample against torch."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from coreml_updatable.errors import ModelError

MODES = st.sampled_from(["STRICT_ALIGN_ENDPOINTS_MODE", "ALIGN_ENDPOINTS_MODE", "UPSAMPLE_MODE", "ROI_ALIGN_MODE"])
SIDES = st.integers(1, 5)
TARGETS = st.tuples(st.integers(1, 7), st.integers(1, 7))
LEADS = st.sampled_from([(1,), (2, 3), (2, 1, 2)])


def drawn(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def grid(mode: str, last: float, count: int) -> Any:
    """The format's words: numpy.linspace(start, end, count) for the interval [0, last], where X is last + 1."""
    if mode == "UPSAMPLE_MODE":
        start, end = 0.0, last + 1 - (last + 1) / count
    elif mode == "ROI_ALIGN_MODE":
        spacing = max(1.0, last) / count
        start = 0.5 * spacing
        end = start + (count - 1) * spacing
    elif mode == "ALIGN_ENDPOINTS_MODE" and count == 1:
        start = end = last / 2
    else:
        start, end = 0.0, last
    return np.linspace(start, end, count)


def sampled(x: Any, rows: Any, columns: Any) -> Any:
    """x [..., H, W] at the points of both axes; numpy.interp takes the nearest pixel outside."""

    def along(axis: int, points: Any, values: Any) -> Any:
        pixels = np.arange(values.shape[axis])
        return np.apply_along_axis(lambda line: np.interp(points, pixels, line), axis, values)

    return along(-1, columns, along(-2, rows, x.astype(np.float64)))


@settings(max_examples=30, deadline=None)
@given(lead=LEADS, height=SIDES, width=SIDES, target=TARGETS, mode=MODES, seed=st.integers(0, 99))
def test_resize(answers: Any, lead: Any, height: int, width: int, target: Any, mode: str, seed: int) -> None:
    rows = [{"x": drawn(seed + index, *lead, height, width)} for index in range(2)]
    actual = answers(lambda b: b.add_resize_bilinear("resize", "x", "y", *target, mode), rows)
    for row, answer in zip(rows, actual, strict=True):
        expected = sampled(row["x"], grid(mode, height - 1, target[0]), grid(mode, width - 1, target[1]))
        np.testing.assert_allclose(answer["y"], expected.astype(np.float32), rtol=1e-4, atol=1e-5, strict=True)


def test_resize_with_corners_equals_torch(answers: Any) -> None:
    x = drawn(0, 3, 4, 5)
    (result,) = answers(
        lambda b: b.add_resize_bilinear("resize", "x", "y", 7, 9, "STRICT_ALIGN_ENDPOINTS_MODE"), [{"x": x}], rank5=True
    )
    peer = functional.interpolate(torch.from_numpy(x)[None], (7, 9), mode="bilinear", align_corners=True)
    np.testing.assert_allclose(result["y"].reshape(3, 7, 9), peer[0].numpy(), rtol=1e-4, atol=1e-5)


def test_resize_faults(answers: Any) -> None:
    def add(builder: Any) -> None:
        builder.add_resize_bilinear("resize", "x", "y", 2**20, 1)

    with pytest.raises(ModelError, match=r"layer 'resize': targetSize \[1048576, 1\] in mode 1, expected up to 32768"):
        answers(add, [{"x": drawn(0, 1, 2, 2)}])
    with pytest.raises(ModelError, match=r"layer 'resize': needs .* of memory"):
        answers(lambda b: b.add_resize_bilinear("resize", "x", "y", 2**15, 2**15), [{"x": drawn(0, 1, 2, 2)}])
    with pytest.raises(ModelError, match="layer 'resize': targetSize has 1 values, expected 2"):
        answers(add, [{"x": drawn(0, 1, 2, 2)}], edit=lambda layer: layer.resizeBilinear.targetSize.pop())
    with pytest.raises(ModelError, match="layer 'resize': input has rank 2, the layer expects at least 3"):
        answers(lambda b: b.add_resize_bilinear("resize", "x", "y", 2, 2), [{"x": drawn(0, 2, 2)}])


BOXES = ["CORNERS_HEIGHT_FIRST", "CORNERS_WIDTH_FIRST", "CENTER_SIZE_HEIGHT_FIRST", "CENTER_SIZE_WIDTH_FIRST"]


def written(box: Any, style: str) -> Any:
    """[top, left, bottom, right] in one of the four styles."""
    top, left, bottom, right = box
    if style.startswith("CENTER"):
        box = [(top + bottom) / 2, (left + right) / 2, bottom - top, right - left]
    return [box[at] for at in ((1, 0, 3, 2) if "WIDTH" in style else (0, 1, 2, 3))]


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(2, 6), st.integers(2, 6)),
    count=st.integers(1, 3), target=TARGETS, mode=MODES,
    style=st.sampled_from(BOXES), normalized=st.booleans(), numbered=st.booleans(),
    scale=st.sampled_from([1.0, 0.5]), seed=st.integers(0, 99),
)  # fmt: skip
def test_crop_resize(
    answers: Any, sizes: Any, count: int, target: Any, mode: str, style: str, normalized: bool, numbered: bool,
    scale: float, seed: int,
) -> None:  # fmt: skip
    batch, channels, height, width = sizes
    random = np.random.default_rng(seed)
    ends = np.array([height - 1, width - 1], np.float64)
    rows, plans = [], []
    for index in range(2):
        corners = np.sort(random.uniform(0, 1, (count, 2, 2)), 1) * ends  # [N, (start, end), (height, width)]
        picture = random.integers(0, batch, count)
        boxes = np.array([written(box.ravel(), style) for box in corners / (ends if normalized else 1) / scale])
        if numbered:
            boxes = np.concatenate([picture[:, None], boxes], 1)
        rows.append(
            {
                "x": drawn(seed + index, 1, batch, channels, height, width),
                "boxes": boxes[:, None, :, None, None].astype(np.float32),
            }
        )
        plans.append((corners, picture))
    actual = answers(
        lambda b: b.add_crop_resize("crop", ["x", "boxes"], "y", *target, mode, normalized, style, scale), rows
    )
    for row, answer, (corners, picture) in zip(rows, actual, plans, strict=True):
        expected = []
        for (start, end), number in zip(corners, picture, strict=True):
            points = [start[axis] + grid(mode, end[axis] - start[axis], target[axis]) for axis in (0, 1)]
            chosen = row["x"][:, number] if numbered else row["x"][0]
            expected.append(sampled(chosen, *points))
        np.testing.assert_allclose(
            answer["y"], np.stack(expected).astype(np.float32), rtol=1e-3, atol=1e-4, strict=True
        )


def box_row(*shape: int, value: float = 0.0) -> dict[str, Any]:
    return {"x": drawn(0, 1, 2, 1, 3, 3), "boxes": np.full(shape, value, np.float32)}


def test_crop_resize_faults(answers: Any) -> None:
    def add(builder: Any) -> None:
        builder.add_crop_resize("crop", ["x", "boxes"], "y", 2, 2)

    def add_all(layer: Any) -> None:
        layer.cropResize.ClearField("spatialScale")

    (result,) = answers(add, [box_row(1, 1, 4, 1, 1)], edit=add_all)  # an unset scale is 1
    assert result["y"].shape == (1, 2, 1, 2, 2)
    with pytest.raises(ModelError, match=r"layer 'crop': needs .* of memory"):
        answers(lambda b: b.add_crop_resize("crop", ["x", "boxes"], "y", 2**15, 2**15), [box_row(1, 1, 4, 1, 1)])
    with pytest.raises(ModelError, match=r"layer 'crop': boxes have the shape \[1, 1, 3, 1, 1\], the layer expects"):
        answers(add, [box_row(1, 1, 3, 1, 1)])
    for number in (2.0, -1.0):
        with pytest.raises(ModelError, match="layer 'crop': a box refers to a picture outside 0 to 1"):
            answers(add, [box_row(1, 1, 5, 1, 1), box_row(1, 1, 5, 1, 1, value=number)])
    with pytest.raises(
        ModelError, match=r"layer 'crop': input has the shape \[2, 2, 1, 3, 3\], the layer expects \[1,"
    ):
        answers(add, [box_row(1, 1, 4, 1, 1) | {"x": drawn(0, 2, 2, 1, 3, 3)}])


@settings(max_examples=15, deadline=None)
@given(
    lead=LEADS,
    height=SIDES,
    width=SIDES,
    factors=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    aligned=st.booleans(),
)
def test_upsample_equals_torch(answers: Any, lead: Any, height: int, width: int, factors: Any, aligned: bool) -> None:
    x = drawn(height, *lead, height, width)
    mode = "ALIGN_CORNERS_TRUE" if aligned else "ALIGN_CORNERS_FALSE"
    (result,) = answers(
        lambda b: b.add_upsample("up", *factors, "x", "y", "BILINEAR", linear_upsample_mode=mode), [{"x": x}]
    )
    flat = torch.from_numpy(x).reshape(-1, 1, height, width)
    peer = functional.interpolate(flat, scale_factor=factors, mode="bilinear", align_corners=aligned)
    np.testing.assert_allclose(result["y"], peer.numpy().reshape(result["y"].shape), rtol=1e-4, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(height=SIDES, width=SIDES, factors=st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_upsample_by_default_samples_as_the_resize_mode_of_its_name(
    answers: Any, height: int, width: int, factors: Any
) -> None:
    x = drawn(height, 2, height, width)
    (result,) = answers(lambda b: b.add_upsample("up", *factors, "x", "y", "BILINEAR"), [{"x": x}])
    points = (grid("UPSAMPLE_MODE", size - 1, size * by) for size, by in zip((height, width), factors, strict=True))
    np.testing.assert_allclose(result["y"], sampled(x, *points).astype(np.float32), rtol=1e-4, atol=1e-5)
    (nearest,) = answers(lambda b: b.add_upsample("up", *factors, "x", "y", "NN"), [{"x": x}])
    np.testing.assert_array_equal(nearest["y"], x.repeat(factors[0], -2).repeat(factors[1], -1))


def test_fractional_factors(answers: Any) -> None:
    x = drawn(0, 1, 10, 4)
    (result,) = answers(
        lambda b: b.add_upsample("up", 0.7, 1.5, "x", "y", "BILINEAR", linear_upsample_mode="ALIGN_CORNERS_TRUE"),
        [{"x": x}],
    )
    peer = functional.interpolate(torch.from_numpy(x)[None], (7, 6), mode="bilinear", align_corners=True)[0]
    np.testing.assert_allclose(result["y"], peer.numpy(), rtol=1e-4, atol=1e-5)
