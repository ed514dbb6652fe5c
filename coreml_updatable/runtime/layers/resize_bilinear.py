"""resizeBilinear: to the height and width of ``targetSize``, linear in both axes. ``ResizeBilinearLayerParams``.

x [..., C, H, W] -> y [..., C, H', W']. The points are those of ``SamplingMode`` (sampling_grid) over the whole axis,
none past its last pixel.
"""

from functools import cache

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sampling import interpolation, points, target_size
from coreml_updatable.runtime.layers._shared.sizes import expect_shape
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    mode = layer.resizeBilinear.mode.samplingMethod
    height, width = target_size(list(layer.resizeBilinear.targetSize), mode, context)

    @cache
    def matrix(length: int, count: int) -> Tensor:
        last = torch.tensor(length - 1, dtype=torch.float64)
        return interpolation(points(mode, last, count).clamp(max=length - 1), length)

    def resize(x: Tensor) -> Tensor:
        context.expect_rank(x, 3)
        expect_shape([*x.shape[:-2], height, width], context)
        return matrix(x.shape[-2], height) @ x @ matrix(x.shape[-1], width).T

    return Function(resize)
