"""A stack of pancakes: browned tops, pale edges, butter, syrup, sometimes a few berries or slices of banana."""

import numpy as np
from PIL import Image, ImageDraw

from .plates import put_dish
from .scene import Color, Points, Scene, fill, ink, outline, place, project, shaded, varied
from .solids import between, box, solid, spots

BROWNS: tuple[Color, ...] = ((190, 122, 54), (204, 140, 68), (172, 100, 42), (214, 154, 84))
BLUE: Color = (52, 56, 96)
RED: Color = (184, 34, 40)


def draw_pancakes(scene: Scene) -> None:
    rng = scene.rng
    z = put_dish(scene)
    brown = varied(rng, BROWNS[int(rng.integers(len(BROWNS)))], 8)
    radius = rng.uniform(0.6, 0.74)
    x, y, top = 0.0, 0.0, outline(rng, 52)
    for _ in range(int(rng.integers(2, 7))):
        x, y = rng.normal(0, 0.045, 2).tolist()
        top = outline(rng, 52, 0.02)
        z = _pancake(scene, (x, y, z), radius * rng.uniform(0.95, 1.04), top, varied(rng, brown, 5))
    if rng.random() < 0.95:
        _syrup(scene, (x, y, z), radius)
    if rng.random() < 0.9:
        _butter(scene, (x + float(rng.normal(0, 0.08)), y + float(rng.normal(0, 0.08)), z))
    if rng.random() < 0.45:
        _fruit(scene, (x, y, z), radius)


def _pancake(scene: Scene, centre: tuple[float, float, float], radius: float, curve: Points, brown: Color) -> float:
    """One pancake; the height of its top."""
    rng = scene.rng
    thick = rng.uniform(0.09, 0.13)
    pale = varied(rng, (238, 206, 148), 5)
    x, y, z = centre
    rings = [
        *between((radius * 0.95, 0.0, shaded(brown, 0.7)), (radius, thick * 0.3, shaded(pale, 0.9)), 3),
        *between((radius, thick * 0.4, pale), (radius * 0.985, thick * 0.75, pale), 3),
        *between((radius * 0.97, thick * 0.85, brown), (radius * 0.91, thick, shaded(brown, 1.06)), 3),
    ]
    solid(scene, centre, curve, rings, 0.1)
    face = place(curve, (x, y, z + thick), radius * 0.9)
    spots(scene, face, shaded(brown, 1.22), 6, 0.5, 0.6)
    spots(scene, face, shaded(brown, 0.74), 9, 0.58, 0.6)
    return z + thick


def _syrup(scene: Scene, centre: tuple[float, float, float], radius: float) -> None:
    """A clear brown pool on the top pancake, running over the edge in some places."""
    rng = scene.rng
    pool = outline(rng, 180, 0.07, 6) * rng.uniform(0.5, 0.76)
    out = np.sqrt((pool * pool).sum(axis=1))
    angle = np.linspace(0, 2 * np.pi, len(pool), endpoint=False)
    reach = out.copy()
    for run in rng.uniform(-0.2, np.pi + 0.2, int(rng.integers(1, 5))).tolist():  # towards the viewer
        half_width, length = rng.uniform(0.06, 0.1), rng.uniform(1.1, 1.1 + centre[2])
        aside = np.abs(np.sin(angle - run)) + 1e-6
        strip = np.where(np.cos(angle - run) > 0, np.minimum(half_width / aside, length - 2 * aside**2), 0)
        reach = np.maximum(reach, strip)
    flat = np.minimum(reach, 0.985)
    ray = pool / out[:, None]
    points = ray * flat[:, None] * radius + np.array(centre)
    points[:, 2] -= np.minimum((reach - flat) * radius, centre[2] - 0.03)
    for size, strength in ((1.0, 150), (0.86, 120)):
        mask = Image.new("L", scene.paint.size)
        middle = np.array(centre)
        shrunk = middle + (points - middle) * [size, size, 1.0] if size < 1 else points
        inner = np.where((reach > 0.98)[:, None], points, shrunk)
        ImageDraw.Draw(mask).polygon(project(scene, inner).ravel().tolist(), fill=strength)
        scene.paint.paste(ink(varied(rng, (92, 36, 4), 6), 0.95), (0, 0), mask)


def _butter(scene: Scene, centre: tuple[float, float, float]) -> None:
    """A pat of butter, its foot melting."""
    rng = scene.rng
    x, y, z = centre
    yellow = varied(rng, (250, 226, 132), 4)
    half = rng.uniform(0.1, 0.15)
    melted = place(outline(rng, 30, 0.08), (x, y, z + 0.01), half * 1.7)
    fill(scene, melted, shaded(yellow, 0.93), 0.8)
    angle = rng.uniform(0, np.pi)
    cosine, sine = np.cos(angle), np.sin(angle)
    axes = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, rng.uniform(0.3, 0.5)]]) * half
    box(scene, np.array([x, y, z + 0.02]) + axes[2], axes, shaded(yellow, 1.05), 0.4)


def _fruit(scene: Scene, centre: tuple[float, float, float], radius: float) -> None:
    """A few berries or slices of banana, on top and beside."""
    rng = scene.rng
    x, y, z = centre
    style = int(rng.integers(3))
    for _ in range(int(rng.integers(3, 8))):
        angle, out = rng.uniform(0, 2 * np.pi), radius * float(rng.uniform(0.15, 0.75))
        at = (x + out * float(np.cos(angle)), y + out * float(np.sin(angle)), z)
        if style == 2:
            curve = outline(rng, 24)
            rings = between((0.12, 0.0, (214, 190, 120)), (0.12, 0.05, (246, 232, 178)), 3)
            solid(scene, at, curve, [*rings, (0.05, 0.05, (230, 208, 140))], 0.3)
        else:
            size, color = rng.uniform(0.055, 0.08), varied(rng, (BLUE, RED)[style], 8)
            rings = [
                (size * float(np.cos(a)), size * (0.8 + float(np.sin(a))), shaded(color, 1 + 0.2 * float(np.sin(a))))
                for a in np.linspace(-0.9, 1.35, 9)
            ]
            solid(scene, at, outline(rng, 18), rings, 0.6)
