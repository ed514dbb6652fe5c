"""Slices of vegetables, seen from above."""

import numpy as np

from .scene import Points, Scene, circle, fill, moved, outline, place, shaded, tint, tint_each, turned, varied
from .solids import between, solid

Place = tuple[float, float, float]


def tomato_slice(scene: Scene, centre: Place, radius: float, thickness: float = 0.04) -> None:
    """A red disc: skin, flesh, and chambers with pale seeds."""
    rng = scene.rng
    red = varied(rng, (206, 44, 30), 8)
    curve = outline(rng, 30, 0.02)
    solid(scene, centre, curve, between((radius, 0.0, shaded(red, 0.7)), (radius, thickness, red), 3), 0.5)
    x, y, z = centre
    top = z + thickness
    tint(scene, place(curve, (x, y, top), radius * 0.9), (226, 88, 62), 0.6)
    chambers, start = int(rng.integers(4, 7)), rng.uniform(0, 6)
    angles = start + np.arange(chambers) * 2 * np.pi / chambers
    blobs = around(circle(10) * (0.27, 0.22, 0), np.full(chambers, 0.52), angles) * radius
    tint_each(scene, moved(blobs, x, y, top), (186, 40, 24), 0.9)
    out, aside = rng.uniform(0.4, 0.66, 2 * chambers), rng.uniform(-0.22, 0.22, 2 * chambers)
    seeds = around(circle(6) * 0.07, out, np.repeat(angles, 2) + aside) * radius
    tint_each(scene, moved(seeds, x, y, top), (240, 190, 110), 0.5)


def around(shape: Points, out: Points, angles: Points) -> Points:
    """Copies [n, corners, 3] of a flat ``shape`` around the origin, each ``out`` [n] away from it."""
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y = shape[:, 0] + out[:, None], shape[:, 1]
    return np.stack([x * cosine - y * sine, x * sine + y * cosine, np.zeros_like(x)], axis=2)


def cherry_tomato(scene: Scene, centre: Place, radius: float) -> None:
    """Half a small tomato, the cut side up, or a whole one."""
    rng = scene.rng
    if rng.random() < 0.6:
        tomato_slice(scene, centre, radius, thickness=radius * 0.6)
        return
    red = varied(rng, (204, 40, 28), 10)
    rings = [
        (radius * float(np.cos(a)), radius * (0.7 + 0.7 * float(np.sin(a))), shaded(red, 0.85 + 0.2 * float(np.sin(a))))
        for a in np.linspace(-0.9, 1.4, 12)
    ]
    solid(scene, centre, outline(rng, 24), rings, 0.9)


def cucumber_slice(scene: Scene, centre: Place, radius: float) -> None:
    """Dark rind, pale flesh, a ring of seeds."""
    rng = scene.rng
    x, y, z = centre
    curve = outline(rng, 26, 0.01)
    rind = varied(rng, (48, 92, 38), 8)
    solid(scene, centre, curve, between((radius, 0.0, shaded(rind, 0.7)), (radius, 0.045, rind), 3), 0.3)
    z += 0.045
    tint(scene, place(curve, (x, y, z), radius * 0.88), varied(rng, (196, 218, 146), 5), 0.4)
    tint(scene, place(curve, (x, y, z), radius * 0.55), varied(rng, (216, 228, 172), 4), 0.5)
    angles = np.linspace(0, 2 * np.pi, 9, endpoint=False) + rng.uniform(0, 1)
    seeds = around(circle(8) * (0.1, 0.05, 0), np.full(9, 0.36), angles) * radius
    tint_each(scene, moved(seeds, x, y, z), (176, 196, 118), 0.4)


def onion_ring(scene: Scene, centre: Place, radius: float) -> None:
    """A thin ring, white with a purple skin; what lies under it shows through."""
    rng = scene.rng
    width = radius * rng.uniform(0.16, 0.24)
    squash = rng.uniform(0.6, 1.0)
    curve = turned(place(outline(rng, 28, 0.03), (0, 0, 0), 1.0, squash), rng.uniform(0, 3))
    angle = int(rng.integers(len(curve)))
    order = np.roll(np.arange(len(curve)), angle)[: int(len(curve) * rng.choice([1.0, 1.0, 0.6]))]
    if len(order) == len(curve):
        order = np.append(order, order[0])
    for inner, outer, color in (
        (radius - width, radius, varied(rng, (150, 60, 120), 8)),
        (radius - width, radius - width * 0.35, (236, 216, 230)),
    ):
        band = np.concatenate([curve[order] * [outer, outer, 1], curve[order[::-1]] * [inner, inner, 1]])
        fill(scene, band + np.array(centre) + [0, 0, 0.03], color, 0.5)


def olive(scene: Scene, centre: Place, radius: float) -> None:
    """A black ring with a hole."""
    curve = outline(scene.rng, 18)
    dark = varied(scene.rng, (44, 36, 42), 6)
    x, y, z = centre
    solid(scene, centre, curve, between((radius, 0.0, shaded(dark, 0.6)), (radius * 0.9, 0.07, dark), 4), 0.8)
    fill(scene, place(curve, (x, y, z), radius * 0.42), shaded(dark, 0.4))


def egg_half(scene: Scene, centre: Place, radius: float) -> None:
    """White and yolk."""
    rng = scene.rng
    x, y, z = centre
    curve = turned(place(outline(rng, 30), (0, 0, 0), 1.0, 0.78), rng.uniform(0, 3))
    solid(scene, centre, curve, between((radius, 0.0, (200, 196, 188)), (radius * 0.95, 0.08, (246, 244, 238)), 4), 0.4)
    yolk = between((radius * 0.52, 0.08, (232, 160, 40)), (radius * 0.4, 0.11, (246, 190, 60)), 3)
    solid(scene, (x, y, z), curve, yolk, 0.3)
