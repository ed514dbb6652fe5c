"""Feature values as the document holds them, and back."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from coreml_updatable.data.inputs import Float32Array, UInt8Array
from coreml_updatable.errors import DataError
from coreml_updatable.publishing.vectors.document import Array, Picture, Row, Value

DIGITS = 6  # of a number; far finer than any tolerance
MOST_PIXELS = 4096 * 4096


def png(pixels: UInt8Array) -> bytes:
    """A picture [H, W, 1 or 3] as PNG: nothing is lost."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def short(values: UInt8Array | Float32Array) -> Any:
    """Numbers rounded to six places, as a text holds them: float64 where they were float32, else as they are."""
    return values if values.dtype == np.uint8 else values.astype(np.float64).round(DIGITS)


def answer(values: Mapping[str, Any]) -> Row:
    """A model's answer, rounded."""
    return {name: _value(value) for name, value in values.items()}


def _value(value: Any) -> Value:
    if isinstance(value, Mapping):
        return {str(label): _number(share) for label, share in value.items()}
    if isinstance(value, np.ndarray):
        return Array(shape=value.shape, values=tuple(_number(one) for one in value.ravel()))
    if isinstance(value, str | int) and not isinstance(value, bool):
        return value
    return _number(value)


def _number(value: Any) -> float:
    return round(float(value), DIGITS)


def row_values(row: Row, folder: Path) -> dict[str, Any]:
    """A row as a model takes it; its pictures are read from ``folder``."""
    return {name: _read(value, folder) for name, value in row.items()}


def _read(value: Value, folder: Path) -> Any:
    match value:
        case Picture():
            return _picture(folder / value.png)
        case Array():
            if int(np.prod(value.shape)) != len(value.values):
                raise DataError(
                    f"golden vectors: an array of {len(value.values)} values has the shape {list(value.shape)}, "
                    "expected one that fits; fetch them again"
                )
            return np.asarray(value.values, np.float32).reshape(value.shape)
    return value


def _picture(path: Path) -> Image.Image:
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise DataError(f"{path}: has {picture.width}x{picture.height} pixels; too large for any model")
            return picture.copy()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise DataError(f"{path}: is not a PNG picture; fetch it again and put it beside the vectors") from None
