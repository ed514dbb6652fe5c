"""From paint and heights to a photograph: slopes lit, shadows, gloss, then the camera's own faults."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from .noise import Field, noise
from .scene import SUPERSAMPLING, Generator, Scene

STEEPEST = 4.0  # pixels of height a pixel

Pixels = npt.NDArray[np.float32]  # [3, height, width]: numpy is slow where the last axis is short


def photograph(scene: Scene) -> Image.Image:
    """The finished picture, RGB, of the scene's size."""
    rng = scene.rng
    paint = np.asarray(scene.paint.reduce(SUPERSAMPLING)).transpose(2, 0, 1).astype(np.float32, order="C")
    height = np.asarray(scene.height.resize(scene.size, Image.Resampling.BOX), np.float32)
    scale = scene.scale / SUPERSAMPLING
    softness = rng.uniform(0.0, 1.0)
    color = paint[:3] * _brightness(scene, height * scale, softness)
    color += _gloss(scene, height * scale, paint[3] * np.float32(1 / 255))
    return _developed(rng, color, scene.size)


def _brightness(scene: Scene, height: Field, softness: float) -> Field:
    """How bright each pixel is lit, about 1; ``height`` in pixels. ``softness`` 0 = sun, 1 = cloudy sky."""
    sun_x, sun_y = scene.sun
    slope = _blurred(_slope(height, -sun_x, -sun_y), 1)
    swell = _blurred(slope, max(1, scene.size[0] // 64))
    facing = slope / (1 + np.abs(slope)) * (0.3 - 0.1 * softness)
    facing += swell / (1 + np.abs(swell)) * (0.5 - 0.15 * softness)
    reach, steepness = scene.size[0] // 5, 0.75 + 0.5 * softness
    padded = np.pad(height, reach, mode="edge")
    rows, columns = height.shape
    blocked = np.zeros_like(height)
    for distance in np.linspace(2, reach - 1, 9).tolist():
        top, left = reach + round(sun_y * distance), reach + round(sun_x * distance)
        blocker = padded[top : top + rows, left : left + columns] - height - steepness * distance
        np.maximum(blocked, blocker, out=blocked)
    shadow = _blurred(np.clip(blocked / (1.5 + 3 * softness), 0, 1), round(1 + 2 * softness))
    hollow = np.clip((_blurred(height, scene.size[0] // 24) - height) / (scene.size[0] / 12), 0, 1)
    return np.asarray((1 + facing) * (1 - shadow * (0.52 - 0.2 * softness)) * (1 - 0.45 * hollow), np.float32)


def _gloss(scene: Scene, height: Field, gloss: Field) -> Field:
    """Highlights: where a glossy surface mirrors the light to the camera."""
    smooth = _blurred(height, 1)
    lean_x, lean_y = _slope(smooth, 1, 0) + 0.5 * scene.sun[0], _slope(smooth, 0, 1) + 0.5 * scene.sun[1]
    ripples = noise(scene.rng, scene.size, scene.size[0] // 4) - 0.5
    near = np.clip(1 - 2.2 * ((lean_x + ripples * 0.22) ** 2 + (lean_y + ripples * 0.22) ** 2), 0, 1)
    sheen = 0.3 * np.clip(1 - np.abs(lean_x) - np.abs(lean_y), 0, 1)
    return np.asarray(gloss * (near**4 * 150 + sheen * 16), np.float32)


def _developed(rng: Generator, color: Pixels, size: tuple[int, int]) -> Image.Image:
    """Exposure, white balance, contrast, vignette, fine texture, blur and grain."""
    width, height = size
    warmth = rng.normal(0, 0.055)
    balance = np.array([1 + warmth, 1 + rng.normal(0, 0.012), 1 - warmth], np.float32)
    color = color * (balance * rng.uniform(0.82, 1.18))[:, None, None]
    y, x = (side.astype(np.float32) for side in np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j])
    lean = rng.normal(0, 0.09, 2).tolist()  # one side nearer the window
    color *= 1 - rng.uniform(0, 0.16) * (x * x + y * y) + lean[0] * x + lean[1] * y
    color *= 0.96 + 0.08 * noise(rng, size, width // 3)
    grey = color.mean(axis=0)
    color = grey + (color - grey) * rng.uniform(0.82, 1.08)
    color = 118 + (color - 118) * rng.uniform(0.88, 1.12)
    image = Image.fromarray(np.clip(color, 0, 255).astype(np.uint8).transpose(1, 2, 0).copy())
    if rng.random() < 0.6:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 0.75)) * width / 128))
    grain = rng.standard_normal((height, width, 1), np.float32) * rng.uniform(1.0, 4.0)
    grain = grain + rng.standard_normal((height, width, 3), np.float32)
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + grain, 0, 255).astype(np.uint8))


def _slope(height: Field, x: float, y: float) -> Field:
    """How steeply ``height`` rises towards (x, y). A jump is an edge, not a slope: there it is 0."""
    down, right = np.gradient(height)
    slope = right * np.float32(x) + down * np.float32(y)
    return np.asarray(np.where(np.abs(right) + np.abs(down) > STEEPEST, 0, slope), np.float32)


def _blurred(field: Field, radius: int) -> Field:
    """``field`` without details smaller than about ``radius`` pixels: made smaller, then larger again."""
    rows, columns = field.shape
    small = (max(2, columns // (radius + 1)), max(2, rows // (radius + 1)))
    shrunk = Image.fromarray(field).resize(small, Image.Resampling.BILINEAR)
    return np.asarray(shrunk.resize((columns, rows), Image.Resampling.BICUBIC), np.float32)
