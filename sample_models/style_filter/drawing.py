"""Pictures to train on, and three pictures with a style, all drawn, so that the sample needs no download."""

import numpy as np
import numpy.typing as npt
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter
from scipy.spatial import cKDTree

GLASS = "d62828 f77f00 fcbf49 003049 118ab2 069678 eae2b7 5a1e6e"
PAINT = "10245c 1c428c 2e68b2 629ccc a0c8d6 eece5c f6e8a0 ce8c28"
GRAIN = 4  # the deviation, of 255
DETAIL = 2  # pixels drawn for each one of the result, a side: smooth edges
Numbers = npt.NDArray[np.float64]
Canvas = ImageDraw.ImageDraw


def content(index: int, side: int) -> Image.Image:
    """One of the pictures to train on, ``side`` pixels a side; the same ``number`` is the same picture."""
    return (scene if index % 2 == 0 else leaves)(index, side)


def scene(index: int, side: int) -> Image.Image:
    """Sky, sun, clouds, hills, trees and houses, grained as a photo is: a filter needs something to start a stroke."""
    random, size = np.random.default_rng([index, 1]), side * DETAIL
    top, bottom = random.uniform(40, 170, 3), random.uniform(150, 255, 3)
    top[2] = top.max() + 20
    rows = np.linspace(0, 1, size)[:, None, None]
    image = _picture((top * (1 - rows) + bottom * rows).repeat(size, 1))
    draw = ImageDraw.Draw(image)
    sun = random.uniform((0.1, 0.08), (0.9, 0.3)) * size
    _disk(draw, sun, random.uniform(0.04, 0.1) * size, (255, 240, random.uniform(120, 230)))
    for _ in range(random.integers(1, 4)):
        place = random.uniform((0, 0.05), (1, 0.35)) * size
        for _ in range(6):
            moved = place + random.uniform((-0.09, -0.02), (0.09, 0.02)) * size
            _disk(draw, moved, random.uniform(0.02, 0.05) * size, (245, 245, 250), wide=1.4)
    for layer in range(3):
        _hill(draw, random, size, 0.45 + 0.18 * layer)
    smooth = image.resize((side, side), Image.Resampling.LANCZOS)
    return _picture(np.asarray(smooth) + random.normal(0, GRAIN, (side, side, 1)))


def _hill(draw: Canvas, random: Generator, size: int, level: float) -> None:
    across = np.arange(size + 1)
    heights = np.full(size + 1, level)
    for _ in range(3):
        turns, start, height = random.uniform((0.4, 0, 0.02), (2.5, 6, 0.06))
        heights += np.sin(across / size * 2 * np.pi * turns + start) * height
    edge = list(zip(across.tolist(), (heights * size).tolist(), strict=True))
    draw.polygon([*edge, (size, size), (0, size)], fill=_color(random.uniform((20, 70, 15), (150, 170, 90))))
    for _ in range(random.integers(2, 7)):
        x = int(random.uniform(0.02, 0.98) * size)
        grows = _tree if random.random() < 0.7 else _house
        grows(draw, random, x, heights[x] * size, size * random.uniform(0.05, 0.13))


def _tree(draw: Canvas, random: Generator, x: float, y: float, height: float) -> None:
    draw.rectangle((x - height * 0.07, y - height * 0.5, x + height * 0.07, y + height * 0.1), fill=(80, 55, 35))
    green = random.uniform((20, 60, 20), (110, 150, 60))
    for part in range(5):
        moved = random.uniform((-0.2, -1.1), (0.2, -0.7)) * height
        _disk(draw, np.array((x, y)) + moved, height * random.uniform(0.2, 0.35), green * (0.8 + 0.1 * part))


def _house(draw: Canvas, random: Generator, x: float, y: float, side: float) -> None:
    wall, roof = _color(random.uniform(140, 250, 3)), _color(random.uniform(60, 160, 3))
    draw.rectangle((x - side / 2, y - side * 0.6, x + side / 2, y + side * 0.15), fill=wall)
    draw.polygon([(x - side * 0.6, y - side * 0.6), (x, y - side * 1.1), (x + side * 0.6, y - side * 0.6)], fill=roof)
    for left in (x - 0.28 * side, x + 0.1 * side):
        draw.rectangle((left, y - side * 0.42, left + 0.2 * side, y - side * 0.2), fill=(60, 70, 100))


def leaves(index: int, side: int) -> Image.Image:
    """Shapes that hide each other, many small and few large, shaded and grained.

    Their edges and contrasts are distributed as in photographs: the dead leaves model (Lee, Mumford and Huang 2001).
    """
    random, size = np.random.default_rng([index, 2]), side * DETAIL
    hues = random.uniform(0, 255, (5, 3))
    image = _picture(np.full((size, size, 3), hues[0]))
    for _ in range(180):
        radius = min(size * 0.012 / max(random.random(), 1e-3) ** 0.75, size * 0.4)
        smooth = random.random() < 0.5
        angles = np.linspace(0, 2 * np.pi, 24) if smooth else np.sort(random.uniform(0, 2 * np.pi, 6))
        flat, turn = random.uniform((0.4, 0), (1, np.pi))
        round_ = np.stack([np.cos(angles), np.sin(angles) * flat], 1) * radius
        turned = round_ @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        corners = turned + random.uniform(0, size, 2)
        low = corners.min(axis=0).astype(int)
        width, height = (corners.max(axis=0).astype(int) + 2 - low).tolist()
        mask = Image.new("L", (width, height))
        ImageDraw.Draw(mask).polygon([tuple(corner) for corner in corners - low], fill=255)
        across, down = np.meshgrid(np.linspace(-0.3, 0.3, width), np.linspace(-0.3, 0.3, height))
        light = 1 + across * random.uniform(-1, 1) + down * random.uniform(-1, 1)
        color = hues[random.integers(5)] + random.uniform(-40, 40, 3)
        grain = random.normal(0, random.uniform(0, 12), (height, width, 1))
        image.paste(_picture(color * light[..., None] + grain), (int(low[0]), int(low[1])), mask)
    return image.resize((side, side), Image.Resampling.LANCZOS)


def mosaic(side: int) -> Image.Image:
    """Tiles of glass with dark joints, in rings of one color."""
    random, size = np.random.default_rng(5), side * DETAIL
    palette = np.array([_rgb(part) for part in GLASS.split()])
    angles, distances = random.uniform(0, 2 * np.pi, 420), np.sqrt(random.uniform(0, 1, 420)) * 0.75
    centers = np.stack([np.cos(angles), np.sin(angles)], 1) * distances[:, None]
    ring = (distances * 9).astype(int) % len(palette)
    chosen = np.where(random.random(420) < 0.6, ring, random.integers(0, len(palette), 420))
    colors = palette[chosen] * random.uniform(0.75, 1.15, (420, 1))
    grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, size)] * 2), -1).reshape(-1, 2)
    away, nearest = cKDTree(centers).query(grid, k=2)
    glass = np.clip((away[:, 1] - away[:, 0] - 0.006) / 0.004, 0, 1)[:, None]
    pixels = colors[nearest[:, 0]] * (1 - 0.3 * away[:, :1] / away[:, 1:]) * glass + np.array((18, 16, 20)) * (
        1 - glass
    )
    return _picture(pixels.reshape(size, size, 3)).resize((side, side), Image.Resampling.LANCZOS)


def strokes(side: int) -> Image.Image:
    """Brush strokes along whirls, in blues and yellows."""
    random, size = np.random.default_rng(3), side * DETAIL
    palette = np.array([_rgb(part) for part in PAINT.split()])
    centers, radii = random.uniform(0.05, 0.95, (7, 2)), random.uniform(0.1, 0.22, 7)
    signs = random.choice([-1.0, 1.0], 7)
    image = Image.new("RGB", (size, size), (20, 40, 90))
    draw = ImageDraw.Draw(image)
    for _ in range(9000):
        place = random.uniform(-0.02, 1.02, 2)
        near = float((np.hypot(*(place - centers).T) / radii).min())
        tone = 2 + (1.6 - near) * 3.2 + np.sin(near * 9) * 1.6 + random.normal(0, 0.8)
        color = palette[int(np.clip(tone, 0, 7))] + random.normal(0, 12, 3)
        points = [place]
        for _ in range(6):
            away = points[-1] - centers
            distance = np.hypot(*away.T) + 1e-6
            pull = (signs * 4 * np.exp(-((distance / radii) ** 2)) / distance)[:, None]
            along = np.array((1, 0.35 * np.sin(points[-1][0] * 7))) + (pull * away[:, ::-1] * (-1, 1)).sum(axis=0)
            points.append(points[-1] + 0.008 * along / np.hypot(*along))
        width = int(size * random.uniform(0.006, 0.011))
        draw.line([tuple(point * size) for point in points], _color(color), width, joint="curve")
    return image.resize((side, side), Image.Resampling.LANCZOS)


def woodcut(side: int) -> Image.Image:
    """Black lines on paper, wide in shadow and narrow in light, with a red sun."""
    random, size = np.random.default_rng(8), side * DETAIL
    across, down = np.meshgrid(*[np.linspace(0, 1, size)] * 2)
    tone, bent = np.zeros((size, size)), np.zeros((size, size))
    for _ in range(6):
        x, y, radius, dark, bend = random.uniform((0, 0, 0.1, -1, -2), (1, 1, 0.3, 1, 2))
        spot = np.exp(-(((across - x) ** 2 + (down - y) ** 2) / radius**2))
        tone, bent = tone + spot * dark, bent + spot * bend
    turns = (across * np.cos(0.5) + down * np.sin(0.5) + 0.03 * bent) * 40
    black = np.sin(turns * 2 * np.pi) < 1.6 * np.tanh(tone * 2.5)
    sun = np.hypot(across - 0.72, down - 0.28) < 0.14
    pixels = np.where(sun[..., None], (178, 38, 30), (238, 226, 200))
    drawn = _picture(np.where(black[..., None], (24, 20, 22), pixels)).filter(ImageFilter.GaussianBlur(DETAIL / 2))
    return drawn.resize((side, side), Image.Resampling.LANCZOS)


def _disk(draw: Canvas, center: Numbers, radius: float, color: object, wide: float = 1) -> None:
    (x, y), across = center, radius * wide
    draw.ellipse((x - across, y - radius, x + across, y + radius), fill=_color(color))


def _color(color: object) -> tuple[int, ...]:
    return tuple(np.clip(np.asarray(color), 0, 255).astype(int).tolist())


def _rgb(color: str) -> list[int]:
    return list(bytes.fromhex(color))


def _picture(pixels: npt.NDArray[np.generic]) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
