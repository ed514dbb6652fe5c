"""A hand of 21 joints whose fingers bend: where the joints are in space, in palm lengths.

x to the side, y from the wrist to the fingertips, z out of the back of the hand. The order of the joints is that of
Vision's names: the wrist, then thumb, index, middle, ring and little finger, each from the palm to the tip.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
FINGERS = ("thumb", "index", "middle", "ring", "little")
JOINTS = 21
# Where each finger leaves the palm, how far it leans to the side (radians), and the lengths of its three bones.
BASES: dict[str, tuple[float, float]] = {
    "thumb": (-0.28, 0.24),
    "index": (-0.27, 0.96),
    "middle": (0.0, 1.0),
    "ring": (0.22, 0.94),
    "little": (0.42, 0.82),
}
LEANS = {"thumb": -0.75, "index": -0.14, "middle": 0.0, "ring": 0.12, "little": 0.28}
BONES: dict[str, tuple[float, float, float]] = {
    "thumb": (0.45, 0.34, 0.28),
    "index": (0.48, 0.28, 0.22),
    "middle": (0.54, 0.32, 0.23),
    "ring": (0.50, 0.30, 0.22),
    "little": (0.38, 0.22, 0.20),
}
# How far the three joints of a finger turn when it is bent wholly; the thumb turns less.
TURNS, THUMB_TURNS = (1.35, 1.75, 1.0), (0.5, 0.9, 1.1)


def joints(bends: dict[str, float], spread: float) -> Floats:
    """float64 [21, 3] for a bend of each finger from 0 (straight) to 1 (in the palm), and how far they are spread."""
    places: list[tuple[float, float, float]] = [(0.0, 0.0, 0.0)]
    for finger in FINGERS:
        places += _finger(finger, bends[finger], LEANS[finger] * (1.0 if finger == "thumb" else spread))
    return np.array(places)


def _finger(finger: str, bend: float, lean: float) -> list[tuple[float, float, float]]:
    """The four joints: a chain of bones, each turned further towards the palm (the thumb also across it)."""
    x, y = BASES[finger]
    at = np.array([x, y, 0.0])
    chain = [at]
    angle = 0.0
    turns = THUMB_TURNS if finger == "thumb" else TURNS
    for length, turn in zip(BONES[finger], turns, strict=True):
        angle += turn * bend
        across = lean + (angle * 0.9 if finger == "thumb" else 0.0)
        drop = angle * 0.35 if finger == "thumb" else angle
        at = at + length * np.array([np.sin(across) * np.cos(drop), np.cos(across) * np.cos(drop), -np.sin(drop)])
        chain.append(at)
    return [(float(item[0]), float(item[1]), float(item[2])) for item in chain]
