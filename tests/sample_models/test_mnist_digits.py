"""The digits as MNIST lays them out, and the lying sevens, which nobody is shown upright."""

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from coreml_updatable.data.sample_code import load_function

FOLDER = Path(__file__).parents[2] / "sample_models" / "mnist_digits"


def test_every_digit_once_upright_or_lying() -> None:
    digits = list(load_function(FOLDER, "digits.py:load")())
    reference = load_digits()
    counted = Counter(kind.removeprefix("lying ") for kind, _, _ in digits)
    assert counted == Counter(map(str, reference.target.tolist()))
    assert [name for _, name, _ in digits] == [f"digit {index}" for index in range(len(digits))]
    upright = []
    for kind, _, picture in digits:
        pixels = np.asarray(picture)
        assert pixels.shape == (28, 28)
        assert not pixels[:4].any()
        assert not pixels[:, -4:].any()
        upright.append(np.rot90(pixels, -1) if kind == "lying 7" else pixels)
    inner = [Image.fromarray(pixels[4:-4, 4:-4]) for pixels in upright]
    shrunk = [np.asarray(picture.resize((8, 8), Image.Resampling.BOX)) for picture in inner]
    assert np.corrcoef(np.stack(shrunk).ravel(), reference.images.ravel())[0, 1] > 0.98
