"""Feature values as the document holds them, and back."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from coreml_updatable.data.inputs import Float32Array, ImageInput, UInt8Array
from coreml_updatable.data.pictures import fit_of, read_photo, read_png
from coreml_updatable.errors import DataError
from coreml_updatable.publishing.vectors.document import Array, Photo, Picture, Row, Value
from coreml_updatable.spec.features import GRAYSCALE
from coreml_updatable.spec.messages import Model

FOLDER = "vectors"  # of the pictures
DIGITS = 6  # of a number; far finer than any tolerance


def digest(content: bytes) -> str:
    """What tells a file from others in its name."""
    return hashlib.sha256(content).hexdigest()[:12]


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
        return Array(shape=value.shape, values=tuple(_number(item) for item in value.ravel()))
    if isinstance(value, str | int) and not isinstance(value, bool):
        return value
    return _number(value)


def _number(value: Any) -> float:
    return round(float(value), DIGITS)


def fitted_as(model: Model) -> ImageInput | None:
    """The picture input of ``model``, with the crop that its metadata name (else the middle); None if it takes none."""
    feature = next((item for item in model.description.input if item.type.HasField("imageType")), None)
    if feature is None:
        return None
    image = feature.type.imageType
    color: Any = "grayscale" if image.colorSpace == GRAYSCALE else "rgb"
    return ImageInput(str(feature.name), int(image.width), int(image.height), color, fit=fit_of(model))


def row_values(row: Row, folder: Path, target: ImageInput | None = None) -> dict[str, Any]:
    """A row as a model takes it; its pictures are read from ``folder``, and photos fitted to ``target``."""
    return {name: _read(value, folder, target) for name, value in row.items()}


def _read(value: Value, folder: Path, target: ImageInput | None) -> Any:
    match value:
        case Picture():
            return read_png(folder / value.png, "fetch it again and put it in their folder")
        case Photo():
            if target is None:
                raise DataError(f"{folder / value.photo}: a photo for a model that takes none; fetch the vectors again")
            pixels = read_photo(folder / value.photo, target)
            return Image.fromarray(pixels[:, :, 0] if target.channels == 1 else pixels)
        case Array():
            if int(np.prod(value.shape)) != len(value.values):
                raise DataError(
                    f"golden vectors: an array of {len(value.values)} values has the shape {list(value.shape)}, "
                    "expected one that fits; fetch them again"
                )
            return np.asarray(value.values, np.float32).reshape(value.shape)
    return value
