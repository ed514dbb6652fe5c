"""The digits of scikit-learn, whole and enlarged without losing them."""

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from coreml_updatable.data.sample_code import load_function

FOLDER = Path(__file__).parents[2] / "sample_models" / "handwritten"


def test_every_digit_with_its_kind() -> None:
    digits = list(load_function(FOLDER, "digits.py:load")())
    reference = load_digits()
    assert Counter(kind for kind, _, _ in digits) == Counter(map(str, reference.target.tolist()))
    assert len({name for _, name, _ in digits}) == 1797
    shrunk = np.stack([np.asarray(picture.resize((8, 8), Image.Resampling.BOX)) for _, _, picture in digits])
    assert np.corrcoef(shrunk.ravel(), reference.images.ravel())[0, 1] > 0.98
    assert {picture.size for _, _, picture in digits} == {(32, 32)}
    assert {picture.mode for _, _, picture in digits} == {"L"}
