"""Filled shapes of random place, size and color on a ground of another color."""

import hashlib
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw


def draw(kind: str, number: int, size: tuple[int, int]) -> Image.Image:
    """The picture ``number`` of ``kind``, the same on every machine."""
    seed = int.from_bytes(hashlib.sha256(f"{kind} {number}".encode()).digest()[:8], "big")
    random = np.random.default_rng(seed)
    ground, colour = (tuple(int(value) for value in random.integers(low, low + 100, 3)) for low in (0, 150))
    picture = Image.new("RGB", size, ground)
    radius = size[0] * random.uniform(0.25, 0.4)
    centre = [side / 2 + random.uniform(-3, 3) for side in size]
    turn = random.uniform(0, 2 * pi)
    points = _outline(kind, radius)
    placed = [
        (centre[0] + distance * cos(angle + turn), centre[1] + distance * sin(angle + turn))
        for angle, distance in points
    ]
    ImageDraw.Draw(picture).polygon(placed, fill=colour)
    return picture


def _outline(kind: str, radius: float) -> list[tuple[float, float]]:
    """(angle, distance) of the corners."""
    corners = {"triangle": 3, "square": 4, "disc": 40, "star": 10}[kind]
    inner = 0.45 if kind == "star" else 1.0
    return [(2 * pi * n / corners, radius * (inner if n % 2 else 1.0)) for n in range(corners)]
