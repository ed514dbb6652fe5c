"""Linear interpolation at given points of an axis, as a matrix."""

import torch
from torch import Tensor


def interpolation(points: Tensor, length: int) -> Tensor:
    """[n, length]: row i holds the two weights that interpolate at ``points[i]``, each in [0, length - 1]."""
    low = points.floor().clamp(0, length - 1).long()
    high = (low + 1).clamp(max=length - 1)
    share = (points - low).to(torch.float32)
    matrix = torch.zeros(len(points), length)
    rows = torch.arange(len(points))
    matrix[rows, low] += 1 - share
    matrix[rows, high] += share
    return matrix
