"""The 1,797 handwritten digits that come with scikit-learn: 8 x 8 pixels in 17 shades, of the UCI test set "Optical
Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak)."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

SIDE = 32  # pixels, four for one
SHADES = 16


def load() -> Iterator[tuple[str, str, Image.Image]]:
    """Every digit as (kind "0".."9", name, picture): 32 x 32 pixels, black paper, white ink."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for index, (shades, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        yield str(digit), f"digit {index}", enlarged(shades)


def enlarged(shades: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Image.Image:
    """Shades 0..16 [8, 8] -> a gray picture with smooth strokes."""
    small = Image.fromarray(np.rint(shades * (255 / SHADES)).astype(np.uint8))
    return small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
