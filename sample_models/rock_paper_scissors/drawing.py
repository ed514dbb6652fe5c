"""Drawn hands: a palm, four fingers and a thumb, stretched out or folded, of any skin, before a plain wall."""

from hashlib import sha256

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

FINER = 4  # pixels drawn for one that remains
Point = tuple[float, float]
Color = tuple[int, int, int]

# Of index, middle, ring and little finger: how far each is stretched out; how far they are spread (degrees between two
# neighbors); and the thumb: "in" across the palm, "out" to the side, "up" beside the fist.
GESTURES: dict[str, tuple[tuple[float, float, float, float], float, str]] = {
    "rock": ((0, 0, 0, 0), 0, "in"),
    "rock-thumb-beside": ((0, 0, 0, 0), 0, "beside"),
    "paper": ((1, 1, 1, 1), 14, "out"),
    "paper-closed": ((1, 1, 1, 1), 2, "beside"),
    "scissors": ((1, 1, 0, 0), 26, "in"),
    "scissors-closed": ((1, 1, 0, 0), 7, "in"),
    "horns": ((1, 0, 0, 1), 9, "in"),
    "thumb-up": ((0, 0, 0, 0), 0, "up"),
    "three": ((1, 1, 1, 0), 14, "in"),
    "call": ((0, 0, 0, 1), 9, "out"),
}
LENGTHS = (0.92, 1.0, 0.94, 0.74)  # of the fingers
SKINS: tuple[Color, ...] = ((244, 208, 177), (224, 172, 128), (190, 132, 90), (141, 85, 54), (94, 56, 36))


def draw(kind: str, index: int, size: tuple[int, int]) -> Image.Image:
    """The hand ``number`` that makes the gesture ``kind``: always the same, in RGB."""
    if kind not in GESTURES:
        raise ValueError(f"cannot draw {kind!r}, only {', '.join(GESTURES)}")
    rng = np.random.default_rng(int.from_bytes(sha256(f"{kind} {index}".encode()).digest()[:8], "big"))
    side = FINER * max(size)
    wall = np.array([rng.integers(60, 240), rng.integers(60, 240), rng.integers(60, 240)])
    picture = Image.new("RGB", (side, side), tint(wall))
    _light(picture, wall, rng)
    skin = np.array(SKINS[int(rng.integers(len(SKINS)))]) + rng.normal(0, 6, 3)
    hand = _Hand(ImageDraw.Draw(picture), side, skin, rng)
    _draw_hand(hand, *GESTURES[kind], rng)
    grain = rng.normal(0, 5, (side // FINER, side // FINER, 3))
    small = picture.filter(ImageFilter.GaussianBlur(FINER * rng.uniform(0.3, 0.8))).resize((side // FINER,) * 2)
    pixels = np.clip(np.asarray(small) + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize(size)


def tint(color: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Color:
    red, green, blue = (int(value) for value in np.clip(color, 0, 255))
    return red, green, blue


class _Hand:
    """Where a hand is: x across the palm, y towards the fingers, the palm about 1 wide."""

    def __init__(self, pen: ImageDraw.ImageDraw, side: int, skin: object, rng: np.random.Generator) -> None:
        self.pen, self.skin = pen, np.asarray(skin, np.float64)
        self.scale = side * rng.uniform(0.27, 0.34)
        self.middle = side / 2 + rng.normal(0, 0.03, 2) * side
        self.turn = rng.normal(0, np.radians(16))
        self.mirrored = rng.random() < 0.5

    def at(self, x: float, y: float) -> Point:
        x = -x if self.mirrored else x
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        across, up = x * cosine - y * sine, x * sine + y * cosine
        return float(self.middle[0] + self.scale * across), float(self.middle[1] - self.scale * up)

    def limb(self, start: Point, end: Point, width: float, brightness: float) -> None:
        """A line with round ends and a dark edge."""
        for wide, color in ((width + 0.05, self.skin * 0.55), (width, self.skin * brightness)):
            pixels = wide * self.scale
            line = [self.at(*start), self.at(*end)]
            self.pen.line(line, fill=tint(color), width=max(1, round(pixels)))
            for x, y in line:
                half = pixels / 2
                self.pen.ellipse((x - half, y - half, x + half, y + half), fill=tint(color))


def _draw_hand(hand: _Hand, stretched: tuple[float, ...], spread: float, thumb: str, rng: np.random.Generator) -> None:
    hand.limb((0, -1.7), (0, -0.7), 0.62, 0.95)  # the arm
    if thumb in ("out", "up"):
        end = (-0.98, 0.05) if thumb == "out" else (-0.62, 0.85)
        hand.limb((-0.38, -0.35), end, 0.27, 0.98)
    for index, (length, out) in enumerate(zip(LENGTHS, stretched, strict=True)):
        if out:
            angle = np.radians((index - 1.5) * spread + rng.normal(0, 2.5))
            foot = (-0.36 + 0.24 * index, 0.25)
            reach = length * rng.uniform(0.93, 1.07)
            hand.limb(foot, (foot[0] + reach * float(np.sin(angle)), foot[1] + reach * float(np.cos(angle))), 0.2, 1.0)
    hand.limb((-0.17, -0.4), (-0.17, 0.16), 0.6, 1.0)
    hand.limb((0.17, -0.4), (0.17, 0.12), 0.6, 1.0)
    hand.limb((0, -0.3), (0, 0.1), 0.7, 1.0)
    for index, out in enumerate(stretched):
        if not out:  # folded: its upper half lies on the palm
            foot = (-0.36 + 0.24 * index, 0.36 - 0.03 * abs(index - 1))
            hand.limb(foot, (foot[0], foot[1] - 0.32 - rng.uniform(0, 0.05)), 0.22, rng.uniform(0.9, 0.98))
    if thumb == "in":
        hand.limb((-0.45, -0.3), (0.12, -0.12 + rng.normal(0, 0.04)), 0.25, 1.03)
    elif thumb == "beside":
        hand.limb((-0.46, -0.35), (-0.5, 0.2), 0.25, 0.97)


def _light(picture: Image.Image, wall: object, rng: np.random.Generator) -> None:
    """The wall is not equally bright everywhere."""
    side = picture.width
    glow = Image.new("L", picture.size)
    x, y = rng.uniform(0, side, 2)
    radius = side * rng.uniform(0.3, 0.6)
    ImageDraw.Draw(glow).ellipse((x - radius, y - radius, x + radius, y + radius), fill=90)
    glow = glow.filter(ImageFilter.GaussianBlur(side / 10))
    picture.paste(tint(np.asarray(wall, np.float64) * rng.uniform(1.1, 1.5)), (0, 0), glow)
