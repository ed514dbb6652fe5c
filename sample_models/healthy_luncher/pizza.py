"""A pizza: browned rim, sauce, molten cheese, and salami, olives, mushrooms, peppers or basil; sometimes cut."""

import numpy as np

from .leaves import leaf
from .plates import put_board, put_paper, put_plate
from .scene import Color, Points, Scene, circle, fill, moved, outline, place, shaded, tint, turned, varied
from .slices import Place, olive, tomato_slice
from .solids import between, solid, spots

CRUSTS: tuple[Color, ...] = ((206, 150, 84), (190, 128, 64), (222, 172, 104))


def draw_pizza(scene: Scene) -> None:
    rng = scene.rng
    z = (put_plate, put_board, put_board, put_paper)[int(rng.integers(4))](scene)
    radius = rng.uniform(0.78, 0.95)
    curve = outline(rng, 60, 0.012)
    inner = _base(scene, curve, radius, z)
    toppings = (_salami, _salami, _olive, _mushroom, _pepper, _tomato)
    chosen = [toppings[int(number)] for number in rng.choice(6, int(rng.integers(1, 4)), replace=False)]
    count = int(rng.integers(9, 20))
    for index in range(count):  # about evenly spread, as a sunflower's seeds
        angle, out = index * 2.4 + rng.normal(0, 0.25), inner * 0.86 * ((index + 0.5) / count) ** 0.5
        at = (out * float(np.cos(angle)), out * float(np.sin(angle)), z + 0.06)
        chosen[index % len(chosen)](scene, at)
    if rng.random() < 0.4:
        for _ in range(int(rng.integers(2, 6))):
            angle, out = rng.uniform(0, 2 * np.pi), inner * rng.uniform(0, 0.7)
            at = (out * float(np.cos(angle)), out * float(np.sin(angle)), z + 0.08)
            leaf(scene, at, rng.uniform(0.09, 0.14), varied(rng, (52, 104, 40), 8), 0.02)
    if rng.random() < 0.5:
        _cuts(scene, radius, z + 0.07)


def _base(scene: Scene, curve: Points, radius: float, z: float) -> float:
    """Dough, rim, sauce and cheese; the radius inside the rim."""
    rng = scene.rng
    crust = varied(rng, CRUSTS[int(rng.integers(len(CRUSTS)))], 7)
    inner = radius * rng.uniform(0.82, 0.88)
    rings = [
        *between((radius * 0.97, 0.0, shaded(crust, 0.6)), (radius, 0.05, shaded(crust, 0.92)), 3),
        *between((radius * 0.99, 0.08, crust), (radius * 0.93, 0.11, shaded(crust, 1.08)), 4),
        *between((inner * 1.03, 0.1, shaded(crust, 0.96)), (inner, 0.05, shaded(crust, 0.86)), 3),
    ]
    solid(scene, (0.0, 0.0, z), curve, rings, 0.08)
    rim = place(curve, (0.0, 0.0, z + 0.1), radius * 0.97)
    spots(scene, rim, shaded(crust, 0.55), 14, 0.66, 0.7)
    sauce = place(outline(rng, 50, 0.02), (0.0, 0.0, z + 0.052), inner * 0.99)
    fill(scene, sauce, varied(rng, (186, 62, 28), 8), 0.35)
    cheese = varied(rng, (240, 206, 122), 8)
    spots(scene, sauce, cheese, 7, rng.uniform(0.22, 0.4), 0.95)
    spots(scene, sauce, shaded(cheese, 1.06), 12, 0.55, 0.7)
    spots(scene, sauce, (168, 96, 40), 16, 0.7, 0.6)
    return inner


def _salami(scene: Scene, at: Place) -> None:
    rng = scene.rng
    red, radius = varied(rng, (166, 44, 34), 8), rng.uniform(0.11, 0.15)
    curve = outline(rng, 24, 0.015)
    solid(scene, at, curve, between((radius, 0.0, shaded(red, 0.7)), (radius * 0.97, 0.025, red), 3), 0.5)
    spots(scene, place(curve, (at[0], at[1], at[2] + 0.025), radius * 0.9), (222, 140, 116), 5, 0.6, 0.7)


def _olive(scene: Scene, at: Place) -> None:
    olive(scene, at, scene.rng.uniform(0.05, 0.07))


def _tomato(scene: Scene, at: Place) -> None:
    tomato_slice(scene, at, scene.rng.uniform(0.11, 0.15), 0.025)


def _mushroom(scene: Scene, at: Place) -> None:
    """A slice: cap and stalk, pale, with a brown skin."""
    rng = scene.rng
    size, angle = rng.uniform(0.1, 0.14), rng.uniform(0, 2 * np.pi)
    pale = varied(rng, (226, 208, 176), 6)
    cap = circle(20) * (1.0, 0.62, 1.0)
    stalk = np.array([[-0.22, 0.0, 0.0], [0.22, 0.0, 0.0], [0.28, 0.95, 0.0], [-0.28, 0.95, 0.0]])
    for shape, scale, color in ((cap, 1.0, shaded(pale, 0.7)), (cap, 0.86, pale), (stalk, 1.0, shaded(pale, 0.94))):
        fill(scene, moved(turned(shape * size * scale, angle), at[0], at[1], at[2] + 0.02), color, 0.2)


def _pepper(scene: Scene, at: Place) -> None:
    """A curved strip of green, red or yellow pepper."""
    rng = scene.rng
    colors: tuple[Color, ...] = ((74, 122, 44), (190, 48, 32), (222, 170, 48))
    color = varied(rng, colors[int(rng.integers(3))], 8)
    bend = np.linspace(0.0, rng.uniform(1.6, 2.6), 12)
    arc = np.stack([np.cos(bend), np.sin(bend), np.zeros(12)], axis=1)
    strip = np.concatenate([arc * 0.15, arc[::-1] * 0.11])
    fill(scene, moved(turned(strip, rng.uniform(0, 2 * np.pi)), at[0], at[1], at[2] + 0.02), color, 0.5)


def _cuts(scene: Scene, radius: float, z: float) -> None:
    """Where the knife went, right across."""
    start, slices = scene.rng.uniform(0, np.pi), int(scene.rng.choice([3, 4]))
    line = np.array([[-1.0, -0.008, 0.0], [1.0, -0.008, 0.0], [1.0, 0.008, 0.0], [-1.0, 0.008, 0.0]])
    for index in range(slices):
        across = turned(line * (radius, radius, 1.0), start + index * np.pi / slices)
        tint(scene, moved(across, 0.0, 0.0, z), (120, 66, 34))
