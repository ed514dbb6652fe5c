"""Pictures for the comparison with the source: noise, squares and single colors, so that the predictions differ."""

from collections.abc import Sequence

import numpy as np

from coreml_updatable.converting.contract import Row
from coreml_updatable.data.inputs import ArrayInput, ImageInput, UInt8Array

SIDES = (0, 8, 4, 2, 0, 6, 3, 1)  # squares along a side; 0: noise, each pixel for itself


def picture_rows(inputs: Sequence[ImageInput | ArrayInput]) -> tuple[Row, ...]:
    """Return eight rows if all ``inputs`` are pictures; otherwise none.

    To most networks, all noise looks the same. A square of noise has shapes, and a picture of one color
    or of half the contrast is darker or lighter than others.
    """
    if not all(isinstance(given, ImageInput) for given in inputs):
        return ()
    generator = np.random.default_rng(0)
    return tuple(
        {given.name: _picture(given, side, generator) for given in inputs if isinstance(given, ImageInput)}
        for side in SIDES
    )


def _picture(given: ImageInput, side: int, generator: np.random.Generator) -> UInt8Array:
    """Return uint8 [height, width, channels], or [height, width] for grayscale."""
    height, width = (side or given.height), (side or given.width)
    low = int(generator.integers(0, 128))
    pixels: UInt8Array = generator.integers(low, low + 128, (height, width, given.channels), np.uint8)
    pixels = pixels[np.arange(given.height) * height // given.height][:, np.arange(given.width) * width // given.width]
    return pixels if given.channels > 1 else np.asarray(pixels[..., 0])
