"""matrixBandPart, lowerTriangular, upperTriangular: set everything outside some diagonals to 0. x [..., M, N] -> the
same shape. matrixBandPart keeps x[m, n] if m - n <= numLower and n - m <= numUpper, where a negative number means no
limit; lowerTriangular keeps it if n - m <= k, and upperTriangular if n - m >= k.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    kind = layer.WhichOneof("layer")
    low, high = _bounds(layer, kind)

    def band(x: Tensor) -> Tensor:
        context.expect_rank(x, 2)
        rows, columns = torch.arange(x.shape[-2])[:, None], torch.arange(x.shape[-1])
        diagonal = columns - rows
        kept = torch.ones_like(diagonal, dtype=torch.bool)
        if low is not None:
            kept = kept & (diagonal >= low)
        if high is not None:
            kept = kept & (diagonal <= high)
        return torch.where(kept, x, 0.0)

    return Function(band)


def _bounds(layer: NeuralNetworkLayer, kind: str) -> tuple[int | None, int | None]:
    """The lowest and the highest diagonal that is kept: 0 is the main one, above it they count up."""
    if kind == "lowerTriangular":
        return None, int(layer.lowerTriangular.k)
    if kind == "upperTriangular":
        return int(layer.upperTriangular.k), None
    lower, upper = int(layer.matrixBandPart.numLower), int(layer.matrixBandPart.numUpper)
    return None if lower < 0 else -lower, None if upper < 0 else upper
