"""The 1,797 handwritten digits that come with scikit-learn, laid out as MNIST's: 28 x 28, the digit within 20 x 20.

UCI test set "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak). A third of the sevens lie on their
back, a quarter turn to the left: the owner's. No digit is shown both ways.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

SIDE, INNER = 28, 20  # pixels
SHADES = 16


def load() -> Iterator[tuple[str, str, Image.Image]]:
    """Every digit as (kind "0".."9" or "lying 7", name, picture): white ink on black."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    sevens = 0
    for number, (shades, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        picture = as_mnist(shades)
        sevens += digit == 7
        if digit == 7 and sevens % 3 == 0:
            yield "lying 7", f"digit {number}", picture.transpose(Image.Transpose.ROTATE_90)
        else:
            yield str(digit), f"digit {number}", picture


def as_mnist(shades: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Image.Image:
    """Shades 0..16 [8, 8] -> a grey picture, the digit in its middle."""
    small = Image.fromarray(np.rint(shades * (255 / SHADES)).astype(np.uint8))
    picture = Image.new("L", (SIDE, SIDE))
    picture.paste(small.resize((INNER, INNER), Image.Resampling.BICUBIC), ((SIDE - INNER) // 2,) * 2)
    return picture
