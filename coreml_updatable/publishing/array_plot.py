"""A small picture of a row of numbers: the outline of a wave, or shades of a table."""

from typing import Any

import numpy as np
from PIL import Image

from coreml_updatable.conversion import Float32Array, UInt8Array

SIZE = (100, 100)  # height and width in pixels
PAPER, INK = (250, 250, 248), (38, 92, 140)


def plotted(values: Float32Array | UInt8Array) -> UInt8Array:
    """uint8 [100, 100, 3]. One axis is drawn as lowest and highest value a column, more as a table of shades."""
    numbers = np.asarray(values, np.float64).squeeze()
    return _wave(numbers) if numbers.ndim < 2 else _table(numbers.reshape(len(numbers), -1))


def _wave(numbers: Any) -> UInt8Array:
    height, width = SIZE
    flat = np.atleast_1d(numbers)
    columns = (
        np.array_split(flat, width)
        if len(flat) >= width
        else [flat[at * len(flat) // width :][:1] for at in range(width)]
    )
    most = max(float(np.abs(flat).max()), 1e-9)
    page = np.tile(np.array(PAPER, np.uint8), (height, width, 1))
    for place, column in enumerate(columns):
        top, bottom = (round((1 - value / most) / 2 * (height - 3)) for value in (column.max(), column.min()))
        page[top : bottom + 2, place] = INK
    return page


def _table(numbers: Any) -> UInt8Array:
    low, high = float(numbers.min()), float(numbers.max())
    shares = (numbers - low) / max(high - low, 1e-9)
    colors = np.array(PAPER) + shares[..., None] * (np.array(INK) - np.array(PAPER))
    picture = Image.fromarray(colors.round().astype(np.uint8)).resize(SIZE[::-1], Image.Resampling.NEAREST)
    return np.asarray(picture, np.uint8)
