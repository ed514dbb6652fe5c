"""Smooth random fields: small random grids, enlarged."""

import numpy as np
import numpy.typing as npt
from PIL import Image

Field = npt.NDArray[np.float32]


def noise(rng: np.random.Generator, size: tuple[int, int], cells: int | tuple[int, int]) -> Field:
    """A cloud of values about 0..1, [height, width], with about ``cells`` bumps across (or ``(across, down)``)."""
    across, down = (cells, cells) if isinstance(cells, int) else cells
    grid = rng.integers(0, 256, (down + 1, across + 1), dtype=np.uint8)
    cloud = Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(cloud, np.float32) * np.float32(1 / 255)


def layered(rng: np.random.Generator, size: tuple[int, int], cells: int, layers: int = 3) -> Field:
    """Clouds of ever finer grain on top of each other, 0..1."""
    total = np.zeros((size[1], size[0]), np.float32)
    weight, sum_of_weights = 1.0, 0.0
    for layer in range(layers):
        total += weight * noise(rng, size, cells * 2**layer)
        sum_of_weights += weight
        weight *= 0.55
    return np.asarray(total / sum_of_weights, np.float32)
