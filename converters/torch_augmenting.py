"""Light changes to training pictures, such as another moment would have brought: on a whole batch at once."""

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

SHIFT = 0.08  # of the picture's size
ZOOM = 0.1
JITTER = 0.2  # of brightness and contrast
TINT = 0.08  # of each channel


def photo(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Flips, small shifts and zooms, other light: float32 [n, channels, height, width] in 0..1, and so the result."""
    count, channels = pictures.shape[:2]

    def between(size: float, *shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2 - 1) * size

    zoom = 1 + between(ZOOM)
    flip = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0], matrix[:, 1, 1] = zoom * flip, zoom
    matrix[:, :, 2] = between(SHIFT * 2, 2)  # the grid runs from -1 to 1
    grid = affine_grid(matrix, list(pictures.shape), align_corners=False)
    moved = grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    contrast = 1 + between(JITTER, 1, 1, 1)
    middle = moved.mean(dim=(1, 2, 3), keepdim=True)
    light = 1 + between(JITTER, 1, 1, 1) + between(TINT, channels, 1, 1)
    return (((moved - middle) * contrast + middle) * light).clamp(0, 1)


def turned(pictures: Tensor, labels: Tensor, by: Tensor, turns: int) -> tuple[Tensor, Tensor]:
    """Each picture turned ``by`` quarters (where ``turns`` is 2, halves) of a circle, and labels + ``by``."""
    step = 4 // turns
    result = pictures.clone()
    for quarter in range(1, turns):
        chosen = by == quarter
        result[chosen] = torch.rot90(pictures[chosen], quarter * step, (2, 3))
    return result, labels + by
