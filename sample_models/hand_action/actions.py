"""A hand in motion as Vision would see it, made by this program; no camera was used. The hand is that of hand_pose."""

from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
FRAMES = 30  # a second, at the rate of Create ML's hand action classifiers
SHAPE = (FRAMES, 3, 21)
NOISE = 0.02  # of a joint's place, in palm lengths
KINDS = ("swipe_left", "swipe_right", "grab", "wave", "beckon")


def _hand() -> ModuleType:
    """``hand.py`` of the sample hand_pose: bones that bend."""
    spec = spec_from_file_location("hand_of_bones", Path(__file__).resolve().parents[1] / "hand_pose" / "hand.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HAND = _hand()


def draw(kind: str, index: int, shape: tuple[int, ...]) -> Float32Array:
    """Action ``number`` of ``kind``: float32 [30, 3, 21], frames of x, y (0..1, from the lower left) and confidence.

    Nothing but the arguments decides how it looks. A ValueError names the kinds there are.
    """
    if kind not in KINDS:
        raise ValueError(f"cannot move {kind!r}, only {', '.join(KINDS)}")
    if shape != SHAPE:
        raise ValueError(f"makes actions of the shape {list(SHAPE)}, not {list(shape)}")
    rng = np.random.default_rng(int.from_bytes(sha256(f"{kind} {index}".encode()).digest()[:16], "big"))
    bends, roll, way = _motion(kind, rng)
    spread, tilt = rng.uniform(0.5, 1.7), (rng.uniform(-0.4, 0.4), np.pi + rng.uniform(-0.4, 0.4))
    proportions, flipped = rng.normal(1, 0.05, (1, 3)), rng.random() < 0.5
    size, start = rng.uniform(0.1, 0.18), rng.uniform(0.42, 0.58, 2)  # of a palm in the picture
    frames = []
    for frame in range(FRAMES):
        places = HAND.joints(dict(zip(HAND.FINGERS, bends[frame], strict=True)), spread) * proportions
        if flipped:
            places[:, 0] *= -1  # the other hand
        turned = places @ _turn(roll[frame], *tilt).T
        seen = turned[:, :2] + rng.normal(0, NOISE, (HAND.JOINTS, 2))
        seen = (seen - [0.0, 0.6]) * size + start + way[frame]
        frames.append(np.stack([*seen.T, _confidence(rng, turned[:, 2])]))
    return np.stack(frames).astype(np.float32)


def _motion(kind: str, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """For each frame: bends of the five fingers [30, 5], the hand's roll [30], its way across the picture [30, 2]."""
    time = np.linspace(0, 1, FRAMES)
    still, rest = np.zeros(FRAMES), rng.uniform(-0.35, 0.35)
    begin, lasting = rng.uniform(0.05, 0.3), rng.uniform(0.3, 0.6)
    done = _eased((time - begin) / lasting)  # 0 before the movement, 1 after it
    flat = rng.uniform(0.0, 0.15, 5)
    bends, roll, way = np.tile(flat, (FRAMES, 1)), still + rest, np.zeros((FRAMES, 2))
    match kind:
        case "swipe_left" | "swipe_right":
            reach = rng.uniform(0.22, 0.34) * (-1 if kind == "swipe_left" else 1)
            way = np.stack([reach * (done - 0.5), rng.uniform(-0.03, 0.03) * done], axis=1)
            roll = roll - np.sign(reach) * 0.3 * (done - 0.5)
        case "grab":
            closed = rng.uniform(0.8, 1.0, 5) * [0.8, 1, 1, 1, 1]
            bends = flat + done[:, None] * (closed - flat)
        case "wave":
            beats, swing = rng.uniform(1.6, 3.2), rng.uniform(0.3, 0.6)
            roll = roll + swing * np.sin(2 * np.pi * (beats * time + rng.random()))
        case "beckon":  # an arm that does not swipe: the fingers bend and straighten, twice or three times
            beats, bent = rng.uniform(1.6, 3.0), rng.uniform(0.45, 0.75, 5) * [0.4, 1, 1, 1, 1]
            bends = flat + (0.5 - 0.5 * np.cos(2 * np.pi * beats * time))[:, None] * bent
    return bends, roll, way


def _eased(time: Floats) -> Floats:
    """From 0 to 1 with a soft start and end."""
    inside = np.clip(time, 0, 1)
    return inside * inside * (3 - 2 * inside)


def _turn(roll: float, pitch: float, yaw: float) -> Floats:
    cos, sin = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    about_z = np.array([[cos[0], -sin[0], 0], [sin[0], cos[0], 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cos[1], -sin[1]], [0, sin[1], cos[1]]])
    about_y = np.array([[cos[2], 0, sin[2]], [0, 1, 0], [-sin[2], 0, cos[2]]])
    return np.asarray(about_z @ about_x @ about_y)


def _confidence(rng: np.random.Generator, depth: Floats) -> Floats:
    """Less for what lies behind; now and then a joint is all but lost."""
    behind = np.clip((depth.max() - depth) / 2, 0, 1)
    sure = np.clip(0.95 - 0.3 * behind + rng.normal(0, 0.05, len(depth)), 0.1, 1)
    return np.where(rng.random(len(depth)) < 0.03, 0.3 * sure, sure)
