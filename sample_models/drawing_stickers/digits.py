"""The 1,797 handwritten digits that come with scikit-learn, as drawings: white strokes on black, 28 x 28.

UCI test set "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak); 8 x 8 pixels, enlarged.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

SIDE, INNER = 28, 20  # pixels
SHADES = 16


def load() -> Iterator[tuple[str, str, Image.Image]]:
    """Every digit as (kind "0".."9", name, picture)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for index, (shades, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        small = Image.fromarray(np.rint(shades * (255 / SHADES)).astype(np.uint8))
        drawing = Image.new("L", (SIDE, SIDE))
        drawing.paste(small.resize((INNER, INNER), Image.Resampling.BICUBIC), ((SIDE - INNER) // 2,) * 2)
        yield str(digit), f"digit {index}", drawing
