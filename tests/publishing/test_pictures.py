import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from coreml_updatable.publishing.report.pictures import data_uri, evenly, mask_uri


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))


@pytest.mark.parametrize("channels", [1, 3])
def test_tiny_pictures_lose_nothing(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, channels), dtype=np.uint8)
    uri = data_uri(pixels)
    assert uri.startswith("data:image/png;base64,")
    np.testing.assert_array_equal(np.asarray(opened(uri)).reshape(pixels.shape), pixels)


def test_large_pictures_become_small_and_look_the_same() -> None:
    ramp = np.linspace(0, 255, 400).astype(np.uint8)
    pixels = np.stack([np.tile(ramp, (200, 1))] * 3, axis=2)
    small = opened(data_uri(pixels))
    assert small.size == (160, 80)
    shown = np.asarray(small, dtype=float)[40, :, 0]
    np.testing.assert_allclose(shown, np.linspace(0, 255, 160), atol=4)


def test_a_mask_has_the_colours_of_its_classes_at_any_size() -> None:
    colors = ["#000000", "#ff8000", "#0010ff"]
    classes = np.random.default_rng(0).integers(0, 3, (70, 300))
    shown = np.asarray(opened(mask_uri(classes, colors)).convert("RGB"))
    np.testing.assert_array_equal(shown, np.array([[0, 0, 0], [255, 128, 0], [0, 16, 255]])[classes])


@given(st.integers(0, 200), st.integers(1, 20))
def test_evenly_is_rising_and_within(count: int, wanted: int) -> None:
    chosen = evenly(count, wanted)
    assert len(chosen) == min(count, wanted)
    assert chosen == sorted(set(chosen))
    assert all(0 <= index < count for index in chosen)
