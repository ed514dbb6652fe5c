"""French fries: a heap on a plate, on paper or a board, often with ketchup, or spilling from a carton."""

from math import cos, sin, sqrt

import numpy as np

from .plates import put_dish
from .scene import Color, Points, Scene, fill, mixed, moved, outline, shaded, turned, varied
from .solids import between, box, solid, spots

GOLD: Color = (246, 200, 104)
BROWN: Color = (196, 124, 50)


def draw_fries(scene: Scene) -> None:
    if scene.rng.random() < 0.45:
        _carton(scene)
    else:
        z = put_dish(scene)
        if scene.rng.random() < 0.5:
            _heap(scene, (-0.12, -0.05, z), 0.58)
            _ketchup(scene, z)
        else:
            _heap(scene, (0, 0, z), 0.7)


def _heap(scene: Scene, centre: tuple[float, float, float], reach: float) -> None:
    rng = scene.rng
    count = int(rng.integers(55, 85))
    preferred = rng.uniform(0, np.pi)
    for index in range(count):
        height = index / count
        out = reach * (1 - height) ** 0.6 * float(rng.uniform(0.2, 1)) ** 0.5
        angle = rng.uniform(0, 2 * np.pi)
        x, y, z = centre
        middle = np.array([x + out * np.cos(angle), y + out * np.sin(angle), z + 0.05 + 0.34 * height])
        heading = preferred + rng.normal(0, 0.9)
        direction = np.array([np.cos(heading), np.sin(heading), rng.normal(0, 0.16)])
        _stick(scene, middle, direction, rng.uniform(0.22, 0.44))


def _stick(scene: Scene, middle: Points, direction: Points, half_length: float) -> None:
    """One stick: a long box, browned at the ends."""
    rng = scene.rng
    x, y, z = (direction / sqrt(direction @ direction)).tolist()
    flat = sqrt(x * x + y * y)
    along, across = np.array([x, y, z]), np.array([-y / flat, x / flat, 0.0])
    above = np.array([-z * x / flat, -z * y / flat, flat])  # along x across
    half = rng.uniform(0.034, 0.046)
    turn = rng.uniform(-0.5, 0.5)
    side = (across * cos(turn) + above * sin(turn)) * half
    top = (above * cos(turn) - across * sin(turn)) * half
    color = mixed(varied(rng, GOLD, 9), BROWN, float(rng.uniform(0, 1)) ** 3 * 0.7)
    axes = np.array([along * half_length, side, top])
    box(scene, middle, axes, color, 0.12)
    for end in (-1.0, 1.0):
        if rng.random() < 0.55:
            tip = np.array([along * half_length * 0.1, side, top])
            box(scene, middle + along * half_length * 0.9 * end, tip, mixed(color, BROWN, 0.55), 0.12)


def _ketchup(scene: Scene, z: float) -> None:
    """A small round bowl of ketchup or mayonnaise."""
    rng = scene.rng
    angle = rng.uniform(-0.6, 1.2)
    centre = (0.62 * float(np.cos(angle)), 0.55 * float(np.sin(angle)), z)
    china = varied(rng, (236, 234, 228), 6)
    sauce = varied(rng, (166, 26, 18) if rng.random() < 0.75 else (240, 226, 180), 6)
    curve = outline(rng, 36)
    bowl = between((0.2, 0.0, shaded(china, 0.6)), (0.27, 0.2, china), 6)
    solid(scene, centre, curve, [*bowl, (0.24, 0.18, shaded(china, 0.8))], 0.5)
    solid(scene, centre, outline(rng, 36, 0.02), between((0.23, 0.16, sauce), (0.05, 0.19, sauce), 6), 0.8)


def _carton(scene: Scene) -> None:
    """A paper carton lying on the table, the fries fanned out of its mouth."""
    rng = scene.rng
    if rng.random() < 0.5:
        put_dish(scene)
    angle = rng.normal(0, 0.5)
    color = varied(rng, ((196, 34, 30), (206, 40, 34), (236, 232, 224), (222, 176, 60))[int(rng.integers(4))], 8)
    mouth, foot, wide = -0.12, 0.85, rng.uniform(0.5, 0.6)
    back = turned(
        np.array(
            [
                [-wide, mouth - 0.1, 0.1],
                [-wide * 0.5, mouth - 0.32, 0.1],
                [wide * 0.5, mouth - 0.32, 0.1],
                [wide, mouth - 0.1, 0.1],
                [wide * 0.78, foot, 0.1],
                [-wide * 0.78, foot, 0.1],
            ]
        ),
        angle,
    )
    fill(scene, back, shaded(color, 0.8), 0.2)
    count = int(rng.integers(34, 48))
    for index in range(count):
        across = rng.uniform(-0.88, 0.88)
        heading = across * 0.32 + rng.normal(0, 0.1)
        direction = np.array([np.sin(heading), -np.cos(heading), rng.normal(0.03, 0.06)])
        reach = rng.uniform(0.12, 0.62) * (1.1 - 0.4 * abs(across))
        tip = np.array([across * wide + np.sin(heading) * reach, mouth - reach, 0.0])
        middle = tip - direction * 0.4
        middle[2] = 0.12 + 0.24 * index / count
        spin = turned(np.array([middle, direction]), angle)
        _stick(scene, spin[0], spin[1], 0.4)
    _front(scene, color, wide, mouth, foot, angle)


def _front(scene: Scene, color: Color, wide: float, mouth: float, foot: float, angle: float) -> None:
    """The carton's front: a dip in the middle of its upper edge, sometimes stripes or a round emblem."""
    rng = scene.rng
    across = np.linspace(-1, 1, 15)
    dip = rng.uniform(0.1, 0.24)
    rim = np.stack([across * wide, mouth + dip * (1 - across**2), np.full(15, 0.34)], axis=1)
    base = np.array([[wide * 0.78, foot, 0.2], [-wide * 0.78, foot, 0.2]])
    fill(scene, turned(np.concatenate([rim, base]) - [0, 0, 0.06], angle), shaded(color, 0.7), 0.25)
    fill(scene, turned(np.concatenate([rim, base]), angle), color, 0.25)
    style = rng.integers(3)
    other: Color = (244, 240, 232) if color[1] < 150 else (196, 40, 34)
    if style == 0:
        for start in range(0, 14, 4):
            left, right = rim[start], rim[min(start + 2, 14)]
            feet = moved(np.array([right * [0.78, 0, 1], left * [0.78, 0, 1]]), 0, foot, -0.14)
            fill(scene, turned(np.array([left, rim[start + 1], right, *feet]), angle), other, 0.25)
    elif style == 1:
        emblem = outline(rng, 28) * [0.2, 0.2, 1] + [0, (mouth + dip + foot) / 2, 0.3]
        fill(scene, turned(emblem, angle), other, 0.25)
    spots(scene, turned(np.concatenate([rim, base]), angle), shaded(color, 0.75), 5, 0.6, 0.3)
