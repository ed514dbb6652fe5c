"""Pictures in an owner's own light, blur, crop and clutter."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from coreml_updatable.errors import DataError
from coreml_updatable.personalization.population import Style


def styled(row: Mapping[str, Any], style: Style | None, look: int, seed: int, index: int) -> Mapping[str, Any]:
    """The row with every picture in an owner's look: the look's own light, blur and crop; clutter of the picture's."""
    if style is None or look == 0:
        return row
    random = np.random.default_rng([seed, 3, look])
    brightness, blur, crop = (float(random.uniform(*ends)) for ends in (style.brightness, style.blur, style.crop))
    tint = random.uniform(0.85, 1.15, 3)
    clutter = np.random.default_rng([seed, 4, look, index])
    result = {
        name: _restyled(value, brightness * tint, blur, crop, style.background, clutter)
        if isinstance(value, Image.Image)
        else value
        for name, value in row.items()
    }
    if not any(isinstance(value, Image.Image) for value in row.values()):
        raise DataError("scenario: style is for pictures, the models read arrays; leave [style] out")
    return result


def _restyled(
    picture: Image.Image, light: Any, blur: float, crop: float, background: float, random: np.random.Generator
) -> Image.Image:
    width, height = picture.size
    across, down = round(width * crop), round(height * crop)
    left, top = (width - across) // 2, (height - down) // 2
    result = picture.crop((left, top, left + across, top + down)).resize((width, height), Image.Resampling.BILINEAR)
    if blur:
        result = result.filter(ImageFilter.GaussianBlur(blur * width))
    pixels = np.asarray(result, np.float32)
    pixels = pixels * (light if pixels.ndim == 3 else light.mean())
    border_x, border_y = round(width * background / 2), round(height * background / 2)
    if border_x or border_y:
        noise = random.integers(0, 256, (4, 4, *pixels.shape[2:])).astype(np.uint8)
        around = np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC), np.float32)
        inside = np.zeros((height, width), bool)
        inside[border_y : height - border_y, border_x : width - border_x] = True
        pixels = np.where(inside[..., None] if pixels.ndim == 3 else inside, pixels, around)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
