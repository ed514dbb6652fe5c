"""The stage of a picture: a table seen by a tilted camera, painted with polygons from the bottom up.

World: x to the right, y towards the viewer, z up; a dinner plate has the radius 1. Every polygon is painted twice:
its color and gloss into ``paint``, and its height above the table into ``height``, from which the light is made
at the end. Points are rounded to whole (supersampled) pixels, so that machines whose sine differs in the last bit
still draw the same picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import cos, sin

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Points = npt.NDArray[np.float64]  # [n, 3]
Color = tuple[float, float, float]  # red, green, blue, each 0..255
Generator = np.random.Generator

SUPERSAMPLING = 2


@dataclass(frozen=True)
class Scene:
    """``scale`` is supersampled pixels a world unit; ``camera`` the unit vector towards the viewer; ``sun`` points on
    the picture from where the light comes."""

    rng: Generator
    size: tuple[int, int]
    scale: float
    centre: tuple[float, float]
    camera: tuple[float, float, float]
    sun: tuple[float, float]
    paint: Image.Image  # RGBX: the fourth channel is gloss, 0..255
    height: Image.Image  # F, world units
    brush: ImageDraw.ImageDraw  # draws into paint
    plane: ImageDraw.ImageDraw  # draws into height


def open_scene(rng: Generator, size: tuple[int, int], tilt: tuple[float, float], lift: float) -> Scene:
    """An empty table. ``tilt`` is the range of the camera's angle in degrees, 0 = from straight above; ``lift`` the
    height of the meal that should be in the middle of the picture."""
    width, height = size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING
    angle = np.radians(rng.uniform(*tilt))
    down, up = float(np.cos(angle)), float(np.sin(angle))
    scale = min(width, height) / 2 * rng.uniform(0.8, 1.12)
    centre = (
        width / 2 + rng.normal(0, 0.06) * min(width, height),
        height / 2 + rng.normal(0, 0.05) * min(width, height) + lift * up * scale,
    )
    azimuth = rng.uniform(0, 2 * np.pi)
    sun = (float(np.cos(azimuth)), float(np.sin(azimuth)))
    paint, heights = Image.new("RGBX", (width, height)), Image.new("F", (width, height))
    brush, plane = ImageDraw.Draw(paint), ImageDraw.Draw(heights)
    return Scene(rng, size, float(scale), centre, (0.0, up, down), sun, paint, heights, brush, plane)


def project(scene: Scene, points: Points) -> npt.NDArray[np.float64]:
    """Pixels [..., 2] of world ``points`` [..., 3]: parallel projection along the camera's direction."""
    _, up, down = scene.camera
    projection = np.array([[1.0, 0.0], [0.0, down], [0.0, -up]]) * scene.scale
    return np.rint(points @ projection + scene.centre)


def fill(scene: Scene, points: Points, color: Color, gloss: float = 0.0, height: float | None = None) -> None:
    """Paint one polygon. ``gloss`` 0..1; ``height`` is the points' mean z unless given."""
    corners = project(scene, points).ravel().tolist()
    _paint(scene, corners, ink(color, gloss))
    _raise(scene, corners, float(points[:, 2].mean()) if height is None else height)


def fill_each(scene: Scene, shapes: Points, colors: Sequence[Color], gloss: float = 0.0) -> None:
    """Paint many polygons of as many corners each: ``shapes`` [n, corners, 3]."""
    pixels = project(scene, shapes).reshape(len(shapes), -1).tolist()
    heights = shapes[:, :, 2].mean(axis=1).tolist()
    for corners, color, height in zip(pixels, colors, heights, strict=True):
        _paint(scene, corners, ink(color, gloss))
        _raise(scene, corners, height)


def tint_each(scene: Scene, shapes: Points, color: Color, gloss: float = 0.0) -> None:
    """Paint many flat polygons in one color: ``shapes`` [n, corners, 3]."""
    fluid = ink(color, gloss)
    for corners in project(scene, shapes).reshape(len(shapes), -1).tolist():
        _paint(scene, corners, fluid)


def tint(scene: Scene, points: Points, color: Color, gloss: float = 0.0) -> None:
    """Paint a polygon that lies flat on what is there already: color only."""
    _paint(scene, project(scene, points).ravel().tolist(), ink(color, gloss))


def _paint(scene: Scene, corners: list[float], color: tuple[int, int, int, int]) -> None:
    """Fill a polygon, without the half of the time that ``ImageDraw.polygon`` spends on other kinds of arguments."""
    brush = scene.brush.draw
    brush.draw_polygon(corners, brush.draw_ink(color), 1)


def _raise(scene: Scene, corners: list[float], height: float) -> None:
    plane = scene.plane.draw
    plane.draw_polygon(corners, plane.draw_ink(height), 1)


def ink(color: Color, gloss: float) -> tuple[int, int, int, int]:
    """What Pillow paints with."""
    red, green, blue = color
    return (
        int(min(max(red, 0.0), 255.0)),
        int(min(max(green, 0.0), 255.0)),
        int(min(max(blue, 0.0), 255.0)),
        int(255 * gloss),
    )


def outline(rng: Generator, corners: int = 40, wobble: float = 0.0, waves: int = 5) -> Points:
    """A closed curve around the origin, [corners, 3] with z = 0: a unit circle whose radius wobbles a little."""
    curve = circle(corners)
    if not wobble:
        return curve
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    frequency = np.arange(2, 2 + waves)
    strength = rng.normal(0, wobble, waves) / np.sqrt(frequency)
    phase = rng.uniform(0, 2 * np.pi, waves)
    return np.asarray(curve * (1 + np.sin(angle[:, None] * frequency + phase) @ strength)[:, None])


@cache
def circle(corners: int) -> Points:
    """The unit circle as a polygon, z = 0; not to be written to."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    points = np.stack([np.cos(angle), np.sin(angle), np.zeros(corners)], axis=1)
    points.setflags(write=False)
    return points


def place(curve: Points, centre: tuple[float, float, float], radius: float, squash: float = 1.0) -> Points:
    """``curve`` made larger and moved to ``centre``; ``squash`` shortens it along y."""
    return np.asarray(curve * (radius, radius * squash, 1.0) + centre)


def moved(points: Points, x: float, y: float, z: float) -> Points:
    """``points`` shifted."""
    return np.asarray(points + np.array((x, y, z)))


def turned(points: Points, angle: float) -> Points:
    """``points`` turned about the z axis."""
    cosine, sine = cos(angle), sin(angle)
    return np.asarray(points @ np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]]))


def mixed(first: Color, second: Color, share: float) -> Color:
    """``share`` of the way from ``first`` to ``second``."""
    a, b = first, second
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share


def varied(rng: Generator, color: Color, amount: float = 10.0) -> Color:
    """``color`` a little lighter or darker, and a little off in hue."""
    shift = rng.normal(0, amount)
    red, green, blue = rng.normal(0, amount / 3, 3).tolist()
    return color[0] + shift + red, color[1] + shift + green, color[2] + shift + blue


def shaded(color: Color, factor: float) -> Color:
    return color[0] * factor, color[1] * factor, color[2] * factor
