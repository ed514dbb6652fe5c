"""Resize pictures by interpolating between their pixels.

upsample: H' = scale_h H, W' = scale_w W, nearest neighbor or bilinear. Bilinear sampling points: DEFAULT x_i = min(X -
1, i X / N); ALIGN_CORNERS_TRUE x_i = i (X - 1) / (N - 1); ALIGN_CORNERS_FALSE x_i = (i + 1/2) X / N - 1/2, within [0, X
- 1]. Nearest neighbor uses floor(i X / N).

resizeBilinear: resizes to the height and width of ``targetSize`` with bilinear interpolation. x [..., C, H, W] -> y
[..., C, H', W']. The sampling points are those of ``SamplingMode`` over the whole axis, none beyond its last pixel.

cropResize: resizes boxes of x to ``targetSize`` with bilinear interpolation. x [1, B, C, H, W]. Boxes [N, 1, 4, 1, 1]
apply to every picture -> y [N, B, C, H', W']; boxes [N, 1, 5, 1, 1] start with the index of a picture -> y [N, 1, C,
H', W']. Normalized coordinates are multiplied by (H - 1) or (W - 1), and all by ``spatialScale``. The sampling points
are those of ``SamplingMode`` over the box. The format leaves some points open. Here, a box given by its center extends
half its size to each side; a point outside the picture takes the nearest pixel; a point outside the box stays where it
is (so ROI_ALIGN with a box smaller than a pixel does the same as RoIAlign); and ``spatialScale`` defaults to 1.

``SamplingMode``: n points over an interval of length L (last minus first pixel, X - 1 in the format's notation),
relative to its start: STRICT_ALIGN_ENDPOINTS i L / (n - 1); ALIGN_ENDPOINTS the same, except that a single point is in
the middle; UPSAMPLE i (L + 1) / n; ROI_ALIGN (i + 1/2) max(1, L) / n.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import expect_shape
from coreml_updatable.spec.messages import NeuralNetworkLayer

STRICT_ALIGN_ENDPOINTS, ALIGN_ENDPOINTS, UPSAMPLE, ROI_ALIGN = range(4)
MAX_SIDE = 2**15  # pixels along an axis of the output; more is an absurd size
BILINEAR = 1
DEFAULT, ALIGN_CORNERS_TRUE, ALIGN_CORNERS_FALSE = 0, 1, 2
MAX_FACTOR = 1024  # of a scaling factor; a larger one is an absurd size
# Which of the four coordinates give [top, left, bottom, right], or [y, x, height, width].
ORDERS = ([0, 1, 2, 3], [1, 0, 3, 2], [0, 1, 2, 3], [1, 0, 3, 2])
FIRST_BY_CENTER = 2


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
    if max(height, width) > MAX_SIDE or mode not in range(ROI_ALIGN + 1):
        raise context.misfit(f"targetSize {[height, width]} in mode {mode}, expected up to {MAX_SIDE} in mode 0 to 3")
    return height, width


def interpolation(points: Tensor, length: int) -> Tensor:
    """Return [n, length]: row i has the two weights that interpolate at ``points[i]``, each in [0, length - 1]."""
    low = points.floor().clamp(0, length - 1).long()
    high = (low + 1).clamp(max=length - 1)
    share = (points - low).to(torch.float32)
    matrix = torch.zeros(len(points), length)
    rows = torch.arange(len(points))
    matrix[rows, low] += 1 - share
    matrix[rows, high] += share
    return matrix


class Upsample(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.upsample
        self.context = context
        fractional = [float(factor) for factor in params.fractionalScalingFactor]
        whole = [float(factor) for factor in params.scalingFactor]
        self.factors = fractional or whole or [1.0, 1.0]
        if len(self.factors) != 2 or not all(0 < factor <= MAX_FACTOR for factor in self.factors):
            raise context.misfit(f"scaling factors {self.factors}, expected 2 up to {MAX_FACTOR}")
        self.grid = params.linearUpsampleMode if params.mode == BILINEAR else None
        self.matrix = cache(self._matrix)

    def forward(self, x: Tensor) -> Tensor:
        self.context.expect_rank(x, 2)
        expect_shape(
            [*x.shape[:-2], *(self._count(x.shape[axis], self.factors[axis]) for axis in (-2, -1))], self.context
        )
        rows, columns = (self.matrix(x.shape[axis], self.factors[axis]) for axis in (-2, -1))
        if self.grid is None:
            return x[..., rows, :][..., columns]
        return rows @ x @ columns.T

    def _count(self, length: int, factor: float) -> int:
        return int(np.float32(length) * np.float32(factor))  # in 32 bits, as writers do: 10 x 0.7 is 7, not 6.999...

    def _matrix(self, length: int, factor: float) -> Tensor:
        """Nearest neighbor: the index of each point's pixel. Bilinear: the interpolation matrix."""
        count = self._count(length, factor)
        if self.grid is not None:
            expect_shape([count, length], self.context)
        index = torch.arange(count, dtype=torch.float64)
        if self.grid is None:
            return (index * length / count).floor().long()
        if self.grid == ALIGN_CORNERS_TRUE:
            points = index * (length - 1) / max(1, count - 1)
        elif self.grid == ALIGN_CORNERS_FALSE:
            points = (index + 0.5) * length / count - 0.5
        else:
            points = index * length / count
        return interpolation(points.clamp(0, length - 1), length)


class CropResize(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.cropResize
        self.context = context
        self.mode = params.mode.samplingMethod
        self.size = target_size(list(params.targetSize), self.mode, context)
        self.normalized, self.scale = params.normalizedCoordinates, params.spatialScale or 1.0
        boxes = params.boxIndicesMode.boxMode
        if boxes not in range(len(ORDERS)):
            raise context.unknown(f"boxMode {boxes}")
        self.order, self.by_center = ORDERS[boxes], boxes >= FIRST_BY_CENTER

    def forward(self, x: Tensor, boxes: Tensor) -> Tensor:
        if x.dim() != 5 or x.shape[0] != 1:
            raise self.context.error(f"input has the shape {list(x.shape)}, the layer expects [1, Batch, C, H, W]")
        if boxes.dim() != 5 or boxes.shape[1] != 1 or boxes.shape[2] not in (4, 5) or boxes.shape[3:] != (1, 1):
            raise self.context.error(
                f"boxes have the shape {list(boxes.shape)}, the layer expects [N, 1, 4, 1, 1] or [N, 1, 5, 1, 1]"
            )
        expect_shape([len(boxes), *x.shape[1:3], *self.size], self.context)
        listed = boxes[:, 0, :, 0, 0]
        pictures = self._pictures(x[0], listed[:, 0]) if listed.shape[1] == 5 else x
        starts, lengths = self._intervals(listed[:, -4:])
        rows, columns = (self._weights(starts, lengths, axis, x.shape[axis - 2]) for axis in (0, 1))
        return rows @ pictures @ columns.mT

    def _intervals(self, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """Start and length of each box [N, 2], height before width, in the unit of the coordinates."""
        ordered = coordinates[:, self.order] * self.scale
        first, second = ordered[:, :2], ordered[:, 2:]
        return (first - second / 2, second) if self.by_center else (first, second - first)

    def _weights(self, starts: Tensor, lengths: Tensor, axis: int, size: int) -> Tensor:
        """[N, 1, 1, H', H]: the shares of the two pixels around each point; 1 - their distance to it."""
        unit = size - 1 if self.normalized else 1
        grid = points(self.mode, lengths[:, axis] * unit, self.size[axis]) + starts[:, axis, None] * unit
        within = grid.clamp(0, size - 1)
        shares = 1 - (within[..., None] - torch.arange(size)).abs()
        return shares.clamp(min=0)[:, None, None]

    def _pictures(self, batch: Tensor, numbers: Tensor) -> Tensor:
        """The picture [N, 1, C, H, W] of each box."""
        count = batch.shape[0]
        try:
            return batch[torch.where(numbers < 0, count, numbers).long()][:, None]
        except IndexError as error:
            raise self.context.error(f"a box refers to a picture outside 0 to {count - 1}") from error


def _resize(params: Any, context: Context) -> Function:
    mode = params.mode.samplingMethod
    height, width = target_size(list(params.targetSize), mode, context)

    @cache
    def matrix(length: int, count: int) -> Tensor:
        last = torch.tensor(length - 1, dtype=torch.float64)
        return interpolation(points(mode, last, count).clamp(max=length - 1), length)

    def resize(x: Tensor) -> Tensor:
        context.expect_rank(x, 3)
        expect_shape([*x.shape[:-2], height, width], context)
        return matrix(x.shape[-2], height) @ x @ matrix(x.shape[-1], width).T

    return Function(resize)


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    if context.kind == "cropResize":
        return CropResize(layer, context)
    return Upsample(layer, context) if context.kind == "upsample" else _resize(layer.resizeBilinear, context)
