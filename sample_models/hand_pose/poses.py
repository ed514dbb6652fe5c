"""Poses of a hand as Vision would see them, made by this program; no camera was used."""

from hashlib import sha256

import numpy as np
import numpy.typing as npt

from .hand import FINGERS, JOINTS, joints

Float32Array = npt.NDArray[np.float32]
STRAIGHT, BENT = (0.0, 0.14), (0.82, 1.0)
HALF = (0.5, 0.66)
# How far each finger is bent, from lowest to highest: thumb, index, middle, ring, little.
GESTURES = {
    "open_palm": ((0.0, 0.3), STRAIGHT, STRAIGHT, STRAIGHT, STRAIGHT),
    "fist": ((0.5, 1.0), BENT, BENT, BENT, BENT),
    "pointing": ((0.5, 1.0), STRAIGHT, BENT, BENT, BENT),
    "victory": ((0.5, 1.0), STRAIGHT, STRAIGHT, BENT, BENT),
    "stiff_palm": ((0.2, 0.5), HALF, HALF, HALF, HALF),  # a hand that no longer opens
}
NOISE = 0.022  # of a joint's place, in palm lengths


def draw(kind: str, index: int, shape: tuple[int, ...]) -> Float32Array:
    """Pose ``number`` of ``kind``: float32 [1, 3, 21], x, y (0..1, from the lower left) and confidence of each joint.

    Nothing but the arguments decides how it looks. A ValueError names the kinds there are.
    """
    if kind not in GESTURES:
        raise ValueError(f"cannot pose {kind!r}, only {', '.join(GESTURES)}")
    if shape != (1, 3, JOINTS):
        raise ValueError(f"makes poses of the shape [1, 3, {JOINTS}], not {list(shape)}")
    rng = np.random.default_rng(int.from_bytes(sha256(f"{kind} {index}".encode()).digest()[:16], "big"))
    bends = {finger: rng.uniform(*range_) for finger, range_ in zip(FINGERS, GESTURES[kind], strict=True)}
    places = joints(bends, rng.uniform(0.4, 1.9)) * rng.normal(1, 0.05, (1, 3))
    if rng.random() < 0.5:
        places[:, 0] *= -1  # the other hand
    turned = places @ _turn(rng).T
    seen = turned[:, :2] + rng.normal(0, NOISE, (JOINTS, 2))
    size = rng.uniform(0.12, 0.26)  # of a palm in the picture
    seen = (seen - seen.mean(axis=0)) * size + rng.uniform(0.35, 0.65, 2)
    return np.stack([*seen.T, _confidence(rng, turned[:, 2])])[None].astype(np.float32)


def _turn(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """The palm faces the camera, more or less: rolled up to 60 degrees, tilted up to 25 either way."""
    roll, pitch, yaw = rng.uniform(-1.05, 1.05), rng.uniform(-0.44, 0.44), np.pi + rng.uniform(-0.44, 0.44)
    cos, sin = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    about_z = np.array([[cos[0], -sin[0], 0], [sin[0], cos[0], 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cos[1], -sin[1]], [0, sin[1], cos[1]]])
    about_y = np.array([[cos[2], 0, sin[2]], [0, 1, 0], [-sin[2], 0, cos[2]]])
    return np.asarray(about_z @ about_x @ about_y)


def _confidence(rng: np.random.Generator, depth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Less for what lies behind; now and then a joint is all but lost."""
    behind = np.clip((depth.max() - depth) / 2, 0, 1)
    sure = np.clip(0.95 - 0.3 * behind + rng.normal(0, 0.05, JOINTS), 0.1, 1)
    return np.where(rng.random(JOINTS) < 0.03, 0.3 * sure, sure)
