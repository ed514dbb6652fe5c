"""Pictures as a model reads them: size and colours checked, channels in the model's order.

A PIL picture of another mode is converted only where nothing is lost: black-and-white and grey to colour, a palette to
its colours, an alpha channel that is opaque everywhere. Anything else is refused, for the choice is the app's.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coreml_updatable.errors import DataError, a_kind
from coreml_updatable.runtime.io.arrays import in_range, in_words
from coreml_updatable.spec.color_spaces import BGR, GRAYSCALE_FLOAT16, RGB
from coreml_updatable.spec.messages import FeatureDescription


def pixels(feature: FeatureDescription, value: Any, where: str) -> NDArray[Any]:
    """A PIL picture, or an array [H, W, 3], [H, W, 1] or [H, W], as [C, H, W] of uint8 (float16: GRAYSCALE_FLOAT16).

    What is answered may be the caller's own memory. Arrays are in the order red, green, blue. DataError for a wrong
    size, mode, shape or type.
    """
    space = feature.type.imageType.colorSpace
    colour = space in (RGB, BGR)
    if isinstance(value, Image.Image):
        array = _from_picture(value, colour, space == GRAYSCALE_FLOAT16, where)
    elif isinstance(value, np.ndarray):
        array = _from_array(value, colour, space == GRAYSCALE_FLOAT16, where)
    else:
        raise DataError(f"{where}: is {a_kind(value)}, expected a PIL picture or an array [H, W, C] of uint8")
    _check_size(feature.type.imageType, array.shape[1], array.shape[0], where)
    ordered = array[:, :, ::-1] if space == BGR else array
    return ordered.transpose(2, 0, 1)


def _from_picture(picture: Image.Image, colour: bool, half: bool, where: str) -> NDArray[Any]:
    wanted = "RGB" if colour else "L"
    floats = " or F (floating point)" if half else ""
    mode = picture.mode
    transparent = "transparency" in picture.info
    if mode in ("RGBA", "LA", "PA") or (mode == "P" and transparent):
        alpha = picture.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (255, 255):
            raise DataError(
                f"{where}: picture is partly transparent; put it on a background first (Image.alpha_composite)"
            )
        mode = "L" if mode == "LA" else "RGB"
        picture = picture.convert(mode)
    if half and mode == "F":
        return np.asarray(picture, np.float16)[:, :, None]
    lossless = {"RGB": ("RGB", "L", "1", "P"), "L": ("L", "1")}[wanted]
    if mode not in lossless:
        raise DataError(
            f"{where}: picture has the mode {mode}, the model expects {wanted}{floats}; "
            f"call picture.convert('{wanted}')"
        )
    array = np.asarray(picture if mode == wanted else picture.convert(wanted))
    array = array if array.ndim == 3 else array[:, :, None]
    return array.astype(np.float16) if half else array


def _from_array(array: NDArray[Any], colour: bool, half: bool, where: str) -> NDArray[Any]:
    kind, name = (np.floating, "float") if half else (np.uint8, "uint8")
    if not np.issubdtype(array.dtype, kind):
        raise DataError(f"{where}: array holds {array.dtype}, expected {name}; give the picture's own pixel values")
    shaped = array[:, :, None] if array.ndim == 2 and not colour else array
    channels = 3 if colour else 1
    if shaped.ndim != 3 or shaped.shape[2] != channels:
        raise DataError(f"{where}: array has the shape {list(array.shape)}, expected [height, width, {channels}]")
    return shaped.astype(np.float16) if half else shaped


def _check_size(image: Any, width: int, height: int, where: str) -> None:
    if image.WhichOneof("SizeFlexibility") == "imageSizeRange":
        ranges = image.imageSizeRange
        if in_range(width, ranges.widthRange) and in_range(height, ranges.heightRange):
            return
        expected = f"a width of {in_words(ranges.widthRange)} and a height of {in_words(ranges.heightRange)}"
    else:
        listed = [(int(size.width), int(size.height)) for size in image.enumeratedSizes.sizes]
        declared = (int(image.width), int(image.height))
        allowed = listed if listed and declared == (0, 0) else [declared, *listed]
        if (width, height) in allowed:
            return
        expected = " or ".join(f"{wide}x{high}" for wide, high in dict.fromkeys(allowed))
    raise DataError(
        f"{where}: picture is {width}x{height} (width x height), the model expects {expected}; make it fit with "
        "centre_crop, scale_to_fit or stretch of coreml_updatable.data.fitting"
    )
