"""Drawn hands: always the same, all different, told apart by how far their fingers reach; and the network's shapes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from coreml_updatable.data.sample_code import load_function
from coreml_updatable.recipes.file import read_recipe

FOLDER = Path(__file__).parents[2] / "sample_models" / "rock_paper_scissors"


@pytest.fixture(scope="module")
def draw() -> Callable[..., Image.Image]:
    return load_function(FOLDER, "drawing.py:draw")


def test_every_kind_of_the_recipe_is_drawn(draw: Callable[..., Image.Image]) -> None:
    recipe = read_recipe(FOLDER / "recipe.toml")
    assert recipe.personalization is not None
    for kind in (*recipe.data.drawn_kinds, *recipe.personalization.kinds):
        picture = draw(kind, 3, (64, 64))
        assert (picture.mode, picture.size) == ("RGB", (64, 64))
        assert np.asarray(picture).std() > 10
    assert draw("rock", 1, (50, 80)).size == (50, 80)


def test_the_order_of_drawing_does_not_matter(draw: Callable[..., Image.Image]) -> None:
    first = [draw("scissors", number, (32, 32)).tobytes() for number in (1, 2, 3)]
    assert [draw("scissors", number, (32, 32)).tobytes() for number in (3, 2, 1)] == first[::-1]
    assert len(set(first)) == 3


def test_an_open_hand_is_larger_than_a_fist(draw: Callable[..., Image.Image]) -> None:
    def covered(kind: str) -> float:
        """The share of the picture that is far from the color of its upper corners."""
        shares = []
        for index in range(12):
            pixels = np.asarray(draw(kind, index, (64, 64))).astype(float)
            wall = np.stack([pixels[:6, :6].reshape(-1, 3), pixels[:6, -6:].reshape(-1, 3)]).mean(axis=(0, 1))
            shares.append(float((np.abs(pixels - wall).sum(axis=2) > 90).mean()))
        return float(np.median(shares))

    assert covered("paper") > 1.2 * covered("rock")


def test_a_gesture_it_cannot_draw(draw: Callable[..., Image.Image]) -> None:
    with pytest.raises(ValueError, match="cannot draw 'well', only rock, rock-thumb-beside, paper,"):
        draw("well", 0, (64, 64))


def test_the_network_has_a_linear_head_on_96_features() -> None:
    network = load_function(FOLDER, "model.py:squeeze_network")(3).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 3)
    assert network[-1].in_features == 96
