"""cropResize: boxes of x, each resized to ``targetSize``, linear in both axes. ``CropResizeLayerParams``.

x [1, B, C, H, W]. Boxes [N, 1, 4, 1, 1], of every picture -> y [N, B, C, H', W']; or [N, 1, 5, 1, 1], the number of the
picture first -> y [N, 1, C, H', W']. Coordinates are times (H - 1), (W - 1) if normalized, and times ``spatialScale``.

The points are those of ``SamplingMode`` (sampling_grid) over the box. Left open by the format: a box by its centre
reaches half its size to each side; a point outside the picture takes its nearest pixel, one outside the box stays (so
ROI_ALIGN with a box of less than a pixel is what RoIAlign does); a ``spatialScale`` that is not set is 1.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.sampling import points, target_size
from coreml_updatable.runtime.layers._shared.sizes import expect_shape
from coreml_updatable.spec.messages import NeuralNetworkLayer

# Which of the four coordinates give [top, left, bottom, right], or [y, x, height, width].
ORDERS = ([0, 1, 2, 3], [1, 0, 3, 2], [0, 1, 2, 3], [1, 0, 3, 2])
FIRST_BY_CENTRE = 2


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
            raise ModelError(f"{context.where}: boxMode {boxes} is newer than this program; install a newer version")
        self.order, self.by_centre = ORDERS[boxes], boxes >= FIRST_BY_CENTRE

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
        return (first - second / 2, second) if self.by_centre else (first, second - first)

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
            raise self.context.error(f"a box names a picture outside 0 to {count - 1}") from error


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(2)
    return CropResize(layer, context)
