"""Making a picture fit a model, in the three ways of Vision's ``VNImageCropAndScaleOption``.

Vision's own filter is not documented; Lanczos keeps edges and makes no moire. Sizes are in pixels.
"""

from PIL import Image, ImageOps

FILTER = Image.Resampling.LANCZOS


def center_crop(picture: Image.Image, width: int, height: int) -> Image.Image:
    """``centerCrop``: keeps the aspect ratio, fills the whole size, cuts off what reaches past it."""
    if picture.size == (width, height):
        return picture
    # Reducing first, to at least three times the size, is several times as fast and changes hardly a pixel.
    return picture.resize((width, height), FILTER, _middle(picture.size, (width, height)), reducing_gap=3.0)


def scale_to_fit(picture: Image.Image, width: int, height: int) -> Image.Image:
    """``scaleFit``: keep the aspect ratio and the whole picture, with black borders."""
    return ImageOps.pad(picture, (width, height), FILTER)


def stretch(picture: Image.Image, width: int, height: int) -> Image.Image:
    """``scaleFill``: the whole picture over the whole size, whatever its aspect ratio."""
    return picture.resize((width, height), FILTER)


def _middle(size: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest box (left, top, right, bottom) in the middle of ``size`` that has the shape of ``target``."""
    width, height = size
    scale = min(width / target[0], height / target[1])
    left, top = (width - target[0] * scale) / 2, (height - target[1] * scale) / 2
    return max(left, 0.0), max(top, 0.0), min(width - left, width), min(height - top, height)
