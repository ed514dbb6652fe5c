"""Pictures inside the page: small, as data URIs."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from coreml_updatable.conversion import Int64Array, UInt8Array

LARGEST = 160  # pixels, the longer side
SMALL = 64  # up to here nothing may be lost, and the page shows the pixels as squares


def data_uri(pixels: UInt8Array) -> str:
    """A uint8 picture [height, width, 1 or 3] as a data URI: PNG where it is tiny, else JPEG of at most 160 pixels."""
    height, width, channels = pixels.shape
    picture = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    buffer = io.BytesIO()
    if max(height, width) <= SMALL:
        picture.save(buffer, format="PNG", optimize=True)
        return _uri("image/png", buffer)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
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
