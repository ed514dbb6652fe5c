"""Linear interpolation at points of a grid, and where those points lie.

n points over an interval of length L (last minus first pixel, X - 1 in the format's words), counted from its start:
STRICT_ALIGN_ENDPOINTS i L / (n - 1); ALIGN_ENDPOINTS the same, but a single point in the middle;
UPSAMPLE i (L + 1) / n; ROI_ALIGN (i + 1/2) max(1, L) / n.
"""

import torch
from torch import Tensor

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context

STRICT_ALIGN_ENDPOINTS, ALIGN_ENDPOINTS, UPSAMPLE, ROI_ALIGN = range(4)
MAXIMUM = 2**15  # pixels along an axis of the output; more is an absurd size


def points(mode: int, length: Tensor, count: int) -> Tensor:
    """[..., count] points for intervals of ``length`` [...]; those past the image's last pixel are not yet cut off."""
    index = torch.arange(count, dtype=length.dtype)
    spans = length[..., None]
    if mode == UPSAMPLE:
        return index * (spans + 1) / count
    if mode == ROI_ALIGN:
        return (index + 0.5) * spans.clamp(min=1) / count
    if count == 1 and mode == ALIGN_ENDPOINTS:
        return spans / 2
    return index * spans / max(1, count - 1)


def target_size(layer_size: list[int], mode: int, context: Context) -> tuple[int, int]:
    """``targetSize`` [H, W], ones if not set; ModelError for an absurd size or an unknown mode."""
    height, width = context.pair(layer_size, 1, "targetSize")
    if max(height, width) > MAXIMUM or mode not in range(ROI_ALIGN + 1):
        raise ModelError(
            f"{context.where}: targetSize {[height, width]} in mode {mode}, expected up to {MAXIMUM} in mode 0 to 3; "
            "export the model again"
        )
    return height, width


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
