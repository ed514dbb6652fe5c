"""A hand whose bones keep their lengths, seen the same way everywhere."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from coreml_updatable.data.sample_code import load_function

FOLDER = Path(__file__).parents[2] / "sample_models" / "hand_pose"
KINDS = ("open_palm", "fist", "pointing", "victory", "stiff_palm")
SHAPE = (1, 3, 21)
FINGERS = ("thumb", "index", "middle", "ring", "little")


def test_bones_keep_their_lengths_however_the_fingers_bend() -> None:
    joints = load_function(FOLDER, "hand.py:joints")
    hands = [joints(dict.fromkeys(FINGERS, bend), 1.0) for bend in (0.0, 0.5, 1.0)]
    for finger in range(5):
        chain = range(1 + 4 * finger, 5 + 4 * finger)
        for one, other in pairwise(chain):
            lengths = [float(np.linalg.norm(hand[one] - hand[other])) for hand in hands]
            assert lengths == pytest.approx(lengths[:1] * 3)


def test_fingertips_come_back_to_the_palm() -> None:
    joints = load_function(FOLDER, "hand.py:joints")
    straight, bent = (joints(dict.fromkeys(FINGERS, bend), 1.0) for bend in (0.0, 1.0))
    for tip in (8, 12, 16, 20):
        assert np.linalg.norm(bent[tip]) < 0.75 * np.linalg.norm(straight[tip])


@pytest.mark.parametrize("kind", KINDS)
def test_poses(kind: str) -> None:
    draw = load_function(FOLDER, "poses.py:draw")
    poses = np.stack([draw(kind, index, SHAPE) for index in range(40)])
    assert poses.shape == (40, *SHAPE)
    assert poses.dtype == np.float32
    assert (poses[:, 0, 2] > 0).all()
    assert (poses[:, 0, 2] <= 1).all()
    assert ((poses[:, 0, :2] > 0) & (poses[:, 0, :2] < 1)).mean() > 0.99
    np.testing.assert_array_equal(poses[3], draw(kind, 3, SHAPE))
    assert len({pose.tobytes() for pose in poses}) == 40


def test_where_and_how_large_the_hand_is_does_not_matter_to_the_network() -> None:
    import torch

    network = load_function(FOLDER, "model.py:hand_network")(4).eval()
    pose = load_function(FOLDER, "poses.py:draw")("victory", 1, SHAPE)
    moved = pose.copy()
    moved[0, :2] = pose[0, :2] * 0.5 + 0.2
    with torch.no_grad():
        one, other = (network(torch.from_numpy(given)[None]) for given in (pose, moved))
    torch.testing.assert_close(one, other, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("kind", "shape", "expected"), [("wave", SHAPE, "cannot pose 'wave'"), ("fist", (3, 21), r"not \[3, 21\]")]
)
def test_what_cannot_be_posed(kind: str, shape: tuple[int, ...], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        load_function(FOLDER, "poses.py:draw")(kind, 0, shape)


def test_shown_with_every_finger_in_the_picture() -> None:
    draw, show = load_function(FOLDER, "poses.py:draw"), load_function(FOLDER, "showing.py:show")
    picture = np.asarray(show(draw("open_palm", 0, SHAPE)))
    assert picture.shape == (100, 100, 3)
    inked = (picture != picture[0, 0]).any(axis=2)
    assert 0.05 < inked.mean() < 0.5
    assert max(inked.any(axis=1).sum(), inked.any(axis=0).sum()) > 80
