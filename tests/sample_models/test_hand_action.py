"""Gestures in motion: what moves, how far, and that the network looks at the motion alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.data.sample_code import load_function

FOLDER = Path(__file__).parents[2] / "sample_models" / "hand_action"
KINDS = ("swipe_left", "swipe_right", "grab", "wave", "beckon")
SHAPE = (30, 3, 21)


def actions(kind: str, count: int = 12) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    draw = load_function(FOLDER, "actions.py:draw")
    return np.stack([draw(kind, index, SHAPE) for index in range(count)])


@pytest.mark.parametrize("kind", KINDS)
def test_actions(kind: str) -> None:
    result = actions(kind)
    assert result.shape == (12, *SHAPE)
    assert result.dtype == np.float32
    assert ((result[:, :, 2] > 0) & (result[:, :, 2] <= 1)).all()
    assert ((result[:, :, :2] > 0) & (result[:, :, :2] < 1)).mean() > 0.99
    np.testing.assert_array_equal(result[3], load_function(FOLDER, "actions.py:draw")(kind, 3, SHAPE))
    assert len({item.tobytes() for item in result}) == 12


def test_a_swipe_crosses_the_picture_its_own_way() -> None:
    for kind, sign in (("swipe_left", -1), ("swipe_right", 1)):
        wrist = actions(kind)[:, :, 0, 0]
        assert (sign * (wrist[:, -1] - wrist[:, 0]) > 0.15).all()


def test_a_grab_closes_and_a_wave_comes_back() -> None:
    grabbed, waved = actions("grab"), actions("wave")

    def reach(made: Any) -> Any:
        """From the wrist to the tip of the middle finger, in each frame."""
        return np.linalg.norm(made[:, :, :2, 12] - made[:, :, :2, 0], axis=2)

    assert (reach(grabbed)[:, -1] < 0.75 * reach(grabbed)[:, 0]).all()
    across = waved[:, :, 0, 12] - waved[:, :, 0, 0]
    turns = np.sign(np.diff(across[:, ::3], axis=1))
    assert ((turns[:, 1:] != turns[:, :-1]).sum(axis=1) >= 2).all()


def test_where_and_how_large_the_hand_is_does_not_matter_but_which_way_it_moves_does() -> None:
    import torch

    torch.manual_seed(0)
    network = load_function(FOLDER, "model.py:action_network")(4).eval()
    action = actions("swipe_left", 1)[0]
    moved, backwards = action.copy(), action[::-1].copy()
    moved[:, :2] = action[:, :2] * 0.5 + 0.2
    with torch.no_grad():
        one, other, back = (network(torch.from_numpy(given)[None]) for given in (action, moved, backwards))
    assert float((one - other).abs().max()) < float((one - back).abs().max()) / 20


@pytest.mark.parametrize(
    ("kind", "shape", "expected"), [("clap", SHAPE, "cannot move 'clap'"), ("grab", (30, 63), r"not \[30, 63\]")]
)
def test_what_cannot_be_moved(kind: str, shape: tuple[int, ...], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        load_function(FOLDER, "actions.py:draw")(kind, 0, shape)


def test_shown_as_large_as_the_picture() -> None:
    picture = np.asarray(load_function(FOLDER, "showing.py:show")(actions("wave", 1)[0]))
    assert picture.shape == (100, 140, 3)
    inked = (picture != picture[0, 0]).any(axis=2)
    assert 0.02 < inked.mean() < 0.6
    assert max(inked.any(axis=1).sum() / 100, inked.any(axis=0).sum() / 140) > 0.8
