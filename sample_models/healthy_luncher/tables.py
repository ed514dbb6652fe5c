"""What the meal stands on: wood, cloth or stone, as a texture of the whole picture."""

import numpy as np
from PIL import Image

from .noise import Field, layered, noise
from .scene import Color, Generator, Scene

WOODS: tuple[Color, ...] = ((150, 105, 66), (112, 74, 45), (186, 148, 104), (92, 66, 50), (205, 178, 140))
CLOTHS: tuple[Color, ...] = ((222, 214, 200), (188, 60, 52), (70, 92, 130), (196, 190, 178), (120, 136, 108))
STONES: tuple[Color, ...] = ((78, 80, 84), (150, 150, 148), (206, 202, 196), (54, 56, 62))


def lay_table(scene: Scene) -> None:
    """Cover the whole picture with one of the tables."""
    rng = scene.rng
    side = int(max(scene.size) * 1.5)
    texture = (wood, wood, cloth, stone)[int(rng.integers(4))](rng, side)
    pixels = np.full((side, side, 4), 18, np.uint8)
    pixels[:, :, :3] = np.clip(texture, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    image = Image.frombytes("RGBX", (side, side), pixels.tobytes())
    angle = rng.choice([0.0, 90.0]) + rng.normal(0, 14)
    width, height = scene.size
    left, top = (side - width) // 2, (side - height) // 2
    turned = image.rotate(float(angle), Image.Resampling.BILINEAR).crop((left, top, left + width, top + height))
    scene.paint.paste(turned.resize(scene.paint.size, Image.Resampling.BILINEAR))


def wood(rng: Generator, side: int) -> Field:
    """Planks side by side, the grain along them."""
    base = np.array(WOODS[int(rng.integers(len(WOODS)))], np.float32)
    grain = 0.6 * noise(rng, (side, side), (3, side // 3)) + 0.4 * noise(rng, (side, side), (9, side // 2))
    planks = int(rng.integers(2, 6))
    row = np.arange(side) * planks / side
    tone = rng.normal(0, 0.09, planks)[row.astype(int)].astype(np.float32)
    seam = np.where(row % 1.0 < planks / side * 1.6, 0.55, 1.0).astype(np.float32)
    brightness = (0.78 + 0.42 * grain + tone[:, None]) * seam[:, None]
    return np.asarray(base[:, None, None] * brightness, np.float32)


def cloth(rng: Generator, side: int) -> Field:
    """A woven cloth: plain, striped or chequered, with soft folds."""
    base = np.array(CLOTHS[int(rng.integers(len(CLOTHS)))], np.float32)
    folds = 0.9 + 0.2 * noise(rng, (side, side), 4)
    weave = 1 + 0.05 * np.where(np.add.outer(np.arange(side), np.arange(side)) % 2, 1.0, -1.0)
    pattern = np.zeros((side, side))
    style = rng.integers(3)
    if style:
        band = (np.arange(side) * rng.integers(6, 15) // side) % 2
        pattern = 0.5 * band[None, :] + (0.5 * band[:, None] if style == 2 else 0)
    pale = base * 0.35 + 160
    color = base[:, None, None] * (1 - pattern) + pale[:, None, None] * pattern
    return np.asarray(color * (folds * weave), np.float32)


def stone(rng: Generator, side: int) -> Field:
    """Speckled stone with some veins."""
    base = np.array(STONES[int(rng.integers(len(STONES)))], np.float32)
    cloud = layered(rng, (side, side), 4)
    veins = np.clip(1 - np.abs(cloud - 0.5) * 30, 0, 1) * rng.uniform(0, 0.35)
    speckle = rng.random((side, side), np.float32) * 0.16
    brightness = 0.78 + 0.32 * cloud + speckle
    color = base[:, None, None] * brightness * (1 - veins) + 190 * veins
    return np.asarray(color, np.float32)
