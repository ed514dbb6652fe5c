"""The drawings of the stickers' sample: every digit of scikit-learn, white on black within 20 x 20 pixels."""

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from coreml_updatable.data.sample_code import load_function

FOLDER = Path(__file__).parents[2] / "sample_models" / "drawing_stickers"


def test_every_digit_in_the_middle() -> None:
    drawings = list(load_function(FOLDER, "digits.py:load")())
    reference = load_digits()
    assert Counter(kind for kind, _, _ in drawings) == Counter(map(str, reference.target.tolist()))
    assert len({name for _, name, _ in drawings}) == len(drawings)
    pixels = np.stack([np.asarray(drawing) for _, _, drawing in drawings])
    assert pixels.shape == (len(drawings), 28, 28)
    middle = pixels[:, 4:-4, 4:-4]
    assert pixels.astype(int).sum() == middle.astype(int).sum()
    shrunk = np.stack([np.asarray(Image.fromarray(item).resize((8, 8), Image.Resampling.BOX)) for item in middle])
    assert np.corrcoef(shrunk.ravel(), reference.images.ravel())[0, 1] > 0.98
