"""upsample: H' = scale_h H, W' = scale_w W, nearest neighbour or bilinear. ``UpsampleLayerParams``.

Bilinear grids: DEFAULT x_i = min(X - 1, i X / N); ALIGN_CORNERS_TRUE x_i = i (X - 1) / (N - 1); ALIGN_CORNERS_FALSE
x_i = (i + 1/2) X / N - 1/2, within [0, X - 1]. Nearest neighbour takes floor(i X / N).
"""

from functools import cache

import torch
from torch import Tensor, nn

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.sampling import interpolation
from coreml_updatable.runtime.layers._shared.sizes import expect_shape
from coreml_updatable.spec.messages import NeuralNetworkLayer

BILINEAR = 1
DEFAULT, ALIGN_CORNERS_TRUE, ALIGN_CORNERS_FALSE = 0, 1, 2
MAXIMUM = 1024  # of a scaling factor; a larger one is an absurd size


class Upsample(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.upsample
        self.context = context
        fractional = [float(factor) for factor in params.fractionalScalingFactor]
        whole = [float(factor) for factor in params.scalingFactor]
        self.factors = fractional or whole or [1.0, 1.0]
        if len(self.factors) != 2 or not all(0 < factor <= MAXIMUM for factor in self.factors):
            raise ModelError(
                f"{context.where}: scaling factors {self.factors}, expected 2 up to {MAXIMUM}; export it again"
            )
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
        return int(torch.tensor(float(length)) * factor)  # in 32 bits, as writers do: 10 x 0.7 is 7, not 6.999...

    def _matrix(self, length: int, factor: float) -> Tensor:
        """Nearest neighbour: the index of each point's pixel. Bilinear: the interpolation matrix."""
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


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return Upsample(layer, context)
