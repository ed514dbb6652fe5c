"""Pictures inside the page: small, as data URIs; rows of numbers as outlines or shades."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from coreml_updatable.data.inputs import Float32Array, Int64Array, UInt8Array

SIZE = (100, 100)  # height and width in pixels
PAPER, INK = (250, 250, 248), (38, 92, 140)


def is_plottable(shape: Sequence[int], *, sound: bool) -> bool:
    """Whether a plot of a row tells a person anything: not of many numbers in a row, such as an embedding."""
    axes = [length for length in shape if length > 1]
    return sound or len(axes) > 1 or sum(axes) <= SIZE[1]


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
        else [flat[index * len(flat) // width :][:1] for index in range(width)]
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


LARGEST, LARGE = 160, 384  # pixels, the longer side: of one among many, and of one to look at
SMALL = 64  # up to here nothing may be lost, and the page shows the pixels as squares


def data_uri(pixels: UInt8Array, largest: int = LARGEST) -> str:
    """A uint8 picture [height, width, 1 or 3] as a data URI: PNG where it is tiny, else JPEG of at most ``largest``."""
    height, width, channels = pixels.shape
    picture = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    buffer = io.BytesIO()
    if max(height, width) <= SMALL:
        picture.save(buffer, format="PNG", optimize=True)
        return _uri("image/png", buffer)
    picture.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    picture.save(buffer, format="JPEG", quality=85, optimize=True)
    return _uri("image/jpeg", buffer)


def mask_uri(classes: Int64Array, colors: Sequence[str]) -> str:
    """Classes [height, width] as a PNG of the ``colors`` (#rrggbb) of each; at most 256 of them."""
    picture = Image.fromarray(classes.astype(np.uint8))
    picture.putpalette(bytes.fromhex("".join(color.removeprefix("#") for color in colors)))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return _uri("image/png", buffer)


def is_tiny(pixels: UInt8Array) -> bool:
    height, width = pixels.shape[:2]
    return bool(max(height, width) <= SMALL)


def evenly(count: int, wanted: int) -> list[int]:
    """``wanted`` indices spread evenly over ``count``: a choice that nobody made."""
    if count <= wanted:
        return list(range(count))
    return [index * count // wanted for index in range(wanted)]


def _uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
