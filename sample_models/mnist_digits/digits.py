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
    counts: dict[str, int] = {}
    for index, (shades, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        counts[str(digit)] = counts.get(str(digit), 0) + 1
        kind, picture = adapt(str(digit), counts[str(digit)], as_mnist(shades))
        yield kind, f"digit {index}", picture


def adapt(kind: str, index: int, picture: Image.Image) -> tuple[str, Image.Image]:
    """Every third seven lies on its back."""
    if kind == "7" and index % 3 == 0:
        return "lying 7", picture.transpose(Image.Transpose.ROTATE_90)
    return kind, picture


def as_mnist(shades: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Image.Image:
    """Shades 0..16 [8, 8] -> a gray picture, the digit in its middle."""
    small = Image.fromarray(np.rint(shades * (255 / SHADES)).astype(np.uint8))
    picture = Image.new("L", (SIDE, SIDE))
    picture.paste(small.resize((INNER, INNER), Image.Resampling.BICUBIC), ((SIDE - INNER) // 2,) * 2)
    return picture
