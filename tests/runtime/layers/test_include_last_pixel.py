"""pooling with includeLastPixel, window by window in NumPy, after the size rule in the format's text."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st


def count(length: int, pad: int, kernel: int, stride: int, padded: bool) -> int:
    """The format's rule for one axis; ``padded``: either axis has padding."""
    windows = int(np.ceil(float(length + 2 * pad - kernel) / float(stride))) + 1
    if padded and (windows - 1) * stride >= length + pad:
        windows -= 1
    return windows


def pooled(x: Any, kernel: Any, stride: Any, pads: Any, kind: str, exclude: bool) -> Any:
    """x [C, H, W]. A window counts what lies in the picture or, for an average, in its padding; nothing beyond."""
    sizes = [count(x.shape[at + 1], pads[at], kernel[at], stride[at], max(pads) > 0) for at in (0, 1)]
    y = np.zeros((len(x), *sizes))
    for row in range(sizes[0]):
        for column in range(sizes[1]):
            starts = [place * step - pad for place, step, pad in zip((row, column), stride, pads, strict=True)]
            ends = [
                min(start + side, n + pad)
                for start, side, n, pad in zip(starts, kernel, x.shape[1:], pads, strict=True)
            ]
            inside = x[:, max(0, starts[0]) : ends[0], max(0, starts[1]) : ends[1]]
            area = inside[0].size if exclude else (ends[0] - starts[0]) * (ends[1] - starts[1])
            result = {
                "MAX": inside.max((1, 2)) if inside.size else 0,
                "AVERAGE": inside.sum((1, 2)) / max(1, area),
                "L2": np.sqrt(np.square(inside).sum((1, 2))),
            }
            y[:, row, column] = result[kind]
    return y


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(4, 8), st.integers(4, 8)), kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    data=st.data(), kind=st.sampled_from(["MAX", "AVERAGE", "L2"]), exclude=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_include_last_pixel(
    answers: Any, size: Any, kernel: Any, data: Any, kind: str, exclude: bool, seed: int
) -> None:
    stride = [data.draw(st.integers(1, side + 2)) for side in kernel]  # above the kernel, a window may miss the picture
    pads = [data.draw(st.integers(0, side - 1)) for side in kernel]
    x = np.random.default_rng(seed).normal(size=(2, *size)).astype(np.float32)
    expected = pooled(x.astype(np.float64), kernel, stride, pads, kind, exclude)
    (actual,) = answers(
        lambda b: b.add_pooling(
            "pool", *kernel, *stride, kind, "INCLUDE_LAST_PIXEL", "x", "y", exclude_pad_area=exclude,
            padding_top=pads[0], padding_bottom=pads[0], padding_left=pads[1], padding_right=pads[1],
        ),
        [{"x": x}],
    )  # fmt: skip
    np.testing.assert_allclose(actual["y"], expected.astype(np.float32), rtol=1e-4, atol=1e-5, strict=True)
