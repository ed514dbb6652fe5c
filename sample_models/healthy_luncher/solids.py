"""Bodies made of polygons: bodies of revolution as stacks of discs, boxes with lit sides, spots of texture."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .noise import noise
from .scene import Color, Points, Scene, fill_each, ink, mixed, project, shaded

# Of each of a box's three faces, the four corners as multiples of the half edges.
CORNERS = np.array(
    [
        [[0, 1, 1], [0, 1, -1], [0, -1, -1], [0, -1, 1]],
        [[1, 0, 1], [1, 0, -1], [-1, 0, -1], [-1, 0, 1]],
        [[1, 1, 0], [1, -1, 0], [-1, -1, 0], [-1, 1, 0]],
    ],
    dtype=np.float64,
)

Ring = tuple[float, float, Color]  # radius, height above the body's foot, color


def solid(
    scene: Scene, centre: tuple[float, float, float], curve: Points, rings: Sequence[Ring], gloss: float = 0.0
) -> None:
    """A body whose horizontal cuts are all ``curve``, as large as ``rings`` say, painted in their order."""
    x, y, z = centre
    scales = np.array([(radius, radius, 1.0) for radius, _, _ in rings])
    feet = np.array([(x, y, z + rise) for _, rise, _ in rings])
    fill_each(scene, curve * scales[:, None] + feet[:, None], [color for _, _, color in rings], gloss)


def between(first: Ring, last: Ring, steps: int) -> list[Ring]:
    """``steps`` rings on the straight line from ``first`` to ``last``, both included."""
    shares = [step / (steps - 1) for step in range(steps)]
    return [
        (
            first[0] + (last[0] - first[0]) * share,
            first[1] + (last[1] - first[1]) * share,
            mixed(first[2], last[2], share),
        )
        for share in shares
    ]


def dome(radius: float, rise: float, low: Color, high: Color, steps: int) -> list[Ring]:
    """Rings of half an ellipsoid: ``low`` at its foot, ``high`` on top."""
    angles = np.linspace(0.0, np.pi / 2 * 0.94, steps).tolist()
    return [
        (radius * float(np.cos(angle)), rise * float(np.sin(angle)), mixed(low, high, float(np.sin(angle))))
        for angle in angles
    ]


def box(scene: Scene, centre: Points, axes: Points, color: Color, gloss: float = 0.0) -> None:
    """A box: ``centre`` [3], ``axes`` [3, 3] its three half edges as rows. Only the faces towards the camera, each as
    bright as it faces the light."""
    light = np.array([scene.sun[0] * 0.6, scene.sun[1] * 0.6, 0.75])
    sides = np.where(axes @ np.array(scene.camera) > 0, 1.0, -1.0)
    outward = axes * sides[:, None]
    brightness = 0.74 + 0.3 * np.maximum(-0.6, outward @ light / np.sqrt((axes * axes).sum(axis=1)))
    faces = centre + outward[:, None, :] + CORNERS @ axes
    fill_each(scene, faces, [shaded(color, factor) for factor in brightness.tolist()], gloss)


def spots(scene: Scene, area: Points, color: Color, cells: int, threshold: float, strength: float) -> None:
    """Cloudy spots of ``color`` inside the polygon ``area``, where a noise of ``cells`` cells exceeds ``threshold``."""
    pixels = project(scene, area)
    left, top = (int(edge) for edge in np.maximum(pixels.min(axis=0), 0))
    right, bottom = (int(edge) for edge in np.minimum(pixels.max(axis=0) + 1, scene.paint.size))
    if right - left < 2 or bottom - top < 2:
        return
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).polygon((pixels - (left, top)).ravel().tolist(), fill=255)
    cloud = np.clip((noise(scene.rng, mask.size, cells) - threshold) * 4, 0, 1) * strength
    cover = Image.fromarray((np.asarray(mask) * cloud).astype(np.uint8))
    gloss = scene.paint.getpixel((min((left + right) // 2, right - 1), min((top + bottom) // 2, bottom - 1)))
    assert isinstance(gloss, tuple)
    scene.paint.paste(ink(color, gloss[3] / 255), (left, top), cover)
