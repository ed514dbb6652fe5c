"""A burger at an angle from above: bun, patty, cheese, tomato, lettuce, and the sesame bun on top."""

import numpy as np

from .leaves import ruffle
from .plates import put_dish
from .scene import Color, Points, Scene, fill, mixed, moved, outline, place, shaded, turned, varied
from .slices import tomato_slice
from .solids import between, dome, solid, spots

BUNS: tuple[Color, ...] = ((196, 124, 52), (206, 140, 66), (178, 104, 40), (214, 152, 84))
SEED: Points = np.array([[-0.034, 0, 0], [0, 0.017, 0], [0.03, 0.012, 0], [0.03, -0.012, 0], [0, -0.017, 0]])


def draw_burger(scene: Scene) -> None:
    rng = scene.rng
    z = put_dish(scene)
    radius = rng.uniform(0.6, 0.72)
    x, y = rng.normal(0, 0.05, 2).tolist()
    bun = varied(rng, BUNS[int(rng.integers(len(BUNS)))], 7)
    crumb = varied(rng, (232, 200, 148), 6)
    curve = outline(rng, 48, 0.012)
    bottom = between((radius * 0.9, 0.0, bun), (radius, 0.07, bun), 4) + between(
        (radius, 0.09, bun), (radius * 0.98, 0.15, crumb), 4
    )
    solid(scene, (x, y, z), curve, bottom)
    z += 0.15
    fillings = [_lettuce, _patty, _cheese] if rng.random() < 0.4 else [_patty, _cheese, _lettuce]
    if rng.random() < 0.3:
        fillings = [_patty, _cheese, *fillings]
    if rng.random() < 0.6:
        fillings.insert(len(fillings) - int(rng.integers(2)), _tomatoes)
    for filling in fillings:
        z = filling(scene, x, y, z, radius)
    x, y = x + float(rng.normal(0, 0.03)), y + float(rng.normal(0, 0.03))
    _top_bun(scene, (x, y, z), radius * rng.uniform(0.97, 1.05), bun, crumb)


def _patty(scene: Scene, x: float, y: float, z: float, radius: float) -> float:
    color = varied(scene.rng, (92, 52, 30), 7)
    curve = outline(scene.rng, 48, 0.025, 9)
    rings = between((radius, 0.0, shaded(color, 0.6)), (radius * 1.05, 0.06, color), 4) + between(
        (radius * 1.05, 0.1, color), (radius * 0.98, 0.14, shaded(color, 0.9)), 4
    )
    solid(scene, (x, y, z), curve, rings, gloss=0.25)
    spots(scene, place(curve, (x, y, z + 0.06), radius * 1.05), shaded(color, 0.55), 14, 0.55, 0.8)
    return z + 0.14


def _cheese(scene: Scene, x: float, y: float, z: float, radius: float) -> float:
    """A square slice; its corners hang down over the patty."""
    rng = scene.rng
    color = varied(rng, (244, 176, 42), 8)
    angle = rng.uniform(0, np.pi / 2)
    for corner in range(4):
        droop = rng.uniform(0.08, 0.16)
        shape = np.array([[0.6, -0.6, 0], [0.96, -0.3, -0.01], [1.1, 0, -droop], [0.96, 0.3, -0.01], [0.6, 0.6, 0]])
        points = moved(turned(shape * [radius, radius, 1], angle + corner * np.pi / 2), x, y, z + 0.02)
        fill(scene, points, color, 0.4, height=z)
    solid(scene, (x, y, z), outline(rng, 40), [(radius * 1.01, 0.0, shaded(color, 0.8)), (radius, 0.025, color)], 0.4)
    return z + 0.025


def _tomatoes(scene: Scene, x: float, y: float, z: float, radius: float) -> float:
    start = scene.rng.uniform(0, 2 * np.pi)
    for turn in range(3):
        angle = start + turn * 2.1
        centre = (x + 0.5 * radius * float(np.cos(angle)), y + 0.5 * radius * float(np.sin(angle)), z)
        tomato_slice(scene, centre, radius * 0.56, thickness=0.06)
    return z + 0.06


def _lettuce(scene: Scene, x: float, y: float, z: float, radius: float) -> float:
    ruffle(scene, (x, y, z), radius * scene.rng.uniform(1.06, 1.18))
    return z + 0.06


def _top_bun(scene: Scene, centre: tuple[float, float, float], radius: float, bun: Color, crumb: Color) -> None:
    rng = scene.rng
    x, y, z = centre
    rise = radius * rng.uniform(0.55, 0.78)
    rings = between((radius * 0.96, 0.0, crumb), (radius, 0.05, bun), 3)
    hood = dome(radius, rise, mixed(bun, (236, 186, 112), 0.45), shaded(bun, 0.9), 26)
    rings += [(across, 0.06 + height, color) for across, height, color in hood]
    curve = outline(rng, 56, 0.01)
    solid(scene, centre, curve, rings, gloss=rng.uniform(0.15, 0.5))
    spots(scene, place(curve, (x, y, z + rise * 0.55), radius * 0.8), shaded(bun, 0.72), 5, 0.5, 0.55)
    if rng.random() < 0.85:
        _sesame(scene, (x, y, z + 0.06), radius, rise)


def _sesame(scene: Scene, centre: tuple[float, float, float], radius: float, rise: float) -> None:
    rng = scene.rng
    for _ in range(int(rng.integers(35, 80))):
        latitude, angle = rng.uniform(0.5, 1.5), rng.uniform(0, 2 * np.pi)
        out = np.array([np.cos(latitude) * np.cos(angle), np.cos(latitude) * np.sin(angle), np.sin(latitude)])
        if out @ np.array(scene.camera) < 0.25:
            continue
        at = out * [radius, radius, rise] + np.array(centre) + [0, 0, 0.012]
        fill(scene, turned(SEED, rng.uniform(0, 2 * np.pi)) + at, varied(rng, (246, 228, 182), 6), 0.2)
