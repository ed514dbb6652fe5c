"""A picture file as a model's input: upright, in the model's colors and size."""

from pathlib import Path
from typing import Literal

from PIL import Image

from coreml_updatable.data.inputs import ImageInput, UInt8Array
from coreml_updatable.data.pictures import MAXIMUM_PIXELS, read_photo, to_pixels
from coreml_updatable.data.rows.features import Features
from coreml_updatable.errors import ModelError
from coreml_updatable.spec.features import BGR, RGB
from coreml_updatable.spec.messages import FeatureDescription

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif"}


def picture_of(path: Path, feature: FeatureDescription, features: Features) -> Image.Image:
    """The picture at the size that the feature names first, on white; DataError if it cannot be read.

    One of another size is made to fit as ``features`` say, and is noted there.
    """
    image = feature.type.imageType
    width, height = int(image.width), int(image.height)
    if not (width > 0 and height > 0 and width * height <= MAXIMUM_PIXELS):
        raise ModelError(f"model: input '{feature.name}' is a picture of {width}x{height}; export the model again")
    color: Literal["rgb", "grayscale"] = "rgb" if image.colorSpace in (RGB, BGR) else "grayscale"
    target = ImageInput(feature.name, width, height, color, fit=features.fit)

    def fitted(picture: Image.Image, target: ImageInput) -> UInt8Array:
        if picture.size != (target.width, target.height):
            features.resized.add(path)
        return to_pixels(picture, target)

    pixels = read_photo(path, target, fitted)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder and those below it, by name. Hidden files and other kinds are passed over."""
    result = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in result if not any(part.startswith(".") for part in path.relative_to(folder).parts))
