"""Fruit in a bowl or on a plate: oranges and kiwis in slices, strawberries, grapes, apple wedges, a few mint leaves."""

from collections.abc import Callable

import numpy as np

from .leaves import leaf
from .plates import put_bowl, put_plate
from .scene import Color, Scene, circle, moved, outline, place, shaded, tint, tint_each, varied
from .slices import Place, around
from .solids import between, dome, solid

Piece = Callable[[Scene, Place], None]


def draw_fruit(scene: Scene) -> None:
    rng = scene.rng
    z = (put_bowl, put_bowl, put_plate)[int(rng.integers(3))](scene)
    reach = rng.uniform(0.6, 0.78)
    pieces: tuple[Piece, ...] = (_orange, _kiwi, _strawberry, _grape, _apple)
    share = rng.uniform(0.1, 1, 5) ** 2
    count = int(rng.integers(26, 42))
    for index, kind in enumerate(rng.choice(5, count, p=share / share.sum()).tolist()):
        angle, out = index * 2.4 + rng.normal(0, 0.3), reach * (1 - index / count) ** 0.5
        rise = 0.22 * index / count
        pieces[kind](scene, (out * float(np.cos(angle)), out * float(np.sin(angle)), z + rise))
    for _ in range(int(rng.integers(0, 4))):
        at = (*rng.uniform(-0.3, 0.3, 2).tolist(), z + 0.28)
        leaf(scene, at, rng.uniform(0.1, 0.16), varied(rng, (70, 132, 60), 8), 0.05)


def _cut_fruit(scene: Scene, at: Place, radius: float, rind: Color, flesh: Color, heart: Color, parts: int) -> None:
    """A slice with rind, flesh in ``parts`` segments, and a pale heart."""
    rng = scene.rng
    x, y, z = at
    curve = outline(rng, 30, 0.01)
    solid(scene, at, curve, between((radius, 0.0, shaded(rind, 0.75)), (radius, 0.05, rind), 3), 0.4)
    top = z + 0.05
    tint(scene, place(curve, (x, y, top), radius * 0.88), shaded(flesh, 1.12), 0.5)
    angles = np.linspace(0, 2 * np.pi, parts, endpoint=False) + rng.uniform(0, 1)
    wedges = around(circle(12) * (0.36, 0.9 / parts * 2.2, 0), np.full(parts, 0.46), angles) * radius
    tint_each(scene, moved(wedges.reshape(-1, 3), x, y, top).reshape(wedges.shape), flesh, 0.7)
    tint(scene, place(circle(14), (x, y, top), radius * 0.16), heart, 0.4)


def _orange(scene: Scene, at: Place) -> None:
    color = varied(scene.rng, (238, 140, 34), 8)
    _cut_fruit(scene, at, scene.rng.uniform(0.17, 0.24), shaded(color, 0.95), color, (250, 224, 170), 9)


def _kiwi(scene: Scene, at: Place) -> None:
    rng = scene.rng
    green, radius = varied(rng, (134, 176, 52), 8), rng.uniform(0.13, 0.18)
    _cut_fruit(scene, at, radius, (120, 96, 52), green, (226, 230, 178), 14)
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    seeds = around(circle(6) * (0.07, 0.035, 0), np.full(14, 0.33), angles) * radius
    x, y, z = at
    tint_each(scene, moved(seeds.reshape(-1, 3), x, y, z + 0.05).reshape(seeds.shape), (34, 36, 22), 0.4)


def _strawberry(scene: Scene, at: Place) -> None:
    rng = scene.rng
    red, radius = varied(rng, (206, 34, 40), 8), rng.uniform(0.1, 0.14)
    solid(scene, at, outline(rng, 20, 0.05, 3), dome(radius, radius * 1.3, shaded(red, 0.7), shaded(red, 1.1), 8), 0.6)
    out, angle = rng.uniform(0.1, 0.8, 12), rng.uniform(0, 2 * np.pi, 12)
    dots = around(circle(5) * 0.05, out, angle) * radius
    x, y, z = at
    tint_each(scene, moved(dots.reshape(-1, 3), x, y, z + radius).reshape(dots.shape), (240, 200, 120), 0.3)


def _grape(scene: Scene, at: Place) -> None:
    rng = scene.rng
    colors: tuple[Color, ...] = ((150, 178, 84), (96, 44, 74))
    color, radius = varied(rng, colors[int(rng.integers(2))], 8), rng.uniform(0.075, 0.1)
    solid(scene, at, outline(rng, 18), dome(radius, radius * 1.5, shaded(color, 0.7), shaded(color, 1.15), 9), 0.9)


def _apple(scene: Scene, at: Place) -> None:
    """A wedge: pale flesh, a line of skin."""
    rng = scene.rng
    skins: tuple[Color, ...] = ((176, 36, 36), (140, 170, 60))
    skin, pale = varied(rng, skins[int(rng.integers(2))], 8), varied(rng, (240, 230, 190), 5)
    angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.16, 0.22)
    bend = np.linspace(-1.1, 1.1, 14)
    arc = np.stack([np.cos(bend), np.sin(bend), np.zeros(14)], axis=1)
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    turn = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    for scale, rise, color in ((1.0, 0.03, skin), (0.9, 0.08, pale)):
        tint(scene, moved(arc * size * scale @ turn, at[0], at[1], at[2] + rise), color, 0.5)
