"""The drawings of meals: the same everywhere, all different, and of the colors that meals have."""

import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coreml_updatable.data.sample_code import load_function

FOLDER = Path(__file__).parents[2] / "sample_models" / "healthy_luncher"
KINDS = ("salad", "burger", "fries", "pancakes")
SIZE = (64, 64)


@pytest.fixture(scope="module")
def draw() -> Callable[..., Image.Image]:
    return load_function(FOLDER, "drawing.py:draw")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(64, 64), (50, 90), (120, 40)])
def test_a_picture_of_the_size(draw: Callable[..., Image.Image], kind: str, size: tuple[int, int]) -> None:
    picture = draw(kind, 3, size)
    assert picture.mode == "RGB"
    assert picture.size == size
    assert np.asarray(picture).std() > 10


def test_the_same_in_another_process(draw: Callable[..., Image.Image]) -> None:
    program = (
        "import sys; from pathlib import Path; from hashlib import sha256\n"
        "from coreml_updatable.data.sample_code import load_function\n"
        "draw = load_function(Path(sys.argv[1]), 'drawing.py:draw')\n"
        f"print(*(sha256(draw(kind, 5, {SIZE}).tobytes()).hexdigest() for kind in {KINDS}))\n"
    )
    command = [sys.executable, "-c", program, str(FOLDER)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split() == [sha256(draw(kind, 5, SIZE).tobytes()).hexdigest() for kind in KINDS]


def test_the_order_of_drawing_does_not_matter(draw: Callable[..., Image.Image]) -> None:
    first = [draw("fries", number, SIZE).tobytes() for number in (1, 2, 3)]
    assert [draw("fries", number, SIZE).tobytes() for number in (3, 2, 1)] == first[::-1]
    assert len(set(first)) == 3


def test_salads_are_green_and_the_rest_is_not(draw: Callable[..., Image.Image]) -> None:
    def greenness(kind: str) -> float:
        pictures = np.stack([np.asarray(draw(kind, index, SIZE)).astype(float) for index in range(20)])
        middle = pictures[:, 16:48, 16:48]
        return float((middle[..., 1] > np.maximum(middle[..., 0], middle[..., 2]) + 10).mean())

    assert greenness("salad") > 0.35
    assert max(greenness(kind) for kind in KINDS[1:]) < 0.15


def test_a_kind_it_cannot_draw(draw: Callable[..., Image.Image]) -> None:
    with pytest.raises(ValueError, match="cannot draw 'soup', only salad, burger, fries, fruit, pizza, pancakes"):
        draw("soup", 0, SIZE)
