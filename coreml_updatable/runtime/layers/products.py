"""Sums of products: matrices, weights and vectors.

innerProduct: y = W x + b. W is [k, n], b is [k]. For x [n], [m, n] or [l, m, n], the product is over the last axis; for
x [m, C, H, W] or [l, m, C, H, W], over the last three, with C H W = n, and the output keeps the rank as [..., k, 1, 1].

batchedMatmul: y = a b over the last two axes, broadcast as in NumPy. Two inputs: a [..., m, n] and b [..., n, k], each
optionally transposed. An a of rank 1 is read as [1, n], and such a b as [n, 1], before any transposition (the format
leaves the order open); these axes stay in y. One input: y = x W + b with x [..., n] and b [k]; W is [n, k] in
column-major order, which is [k, n] in the file.

dot: y = sum of x1 x2 along axis -3, or their cosine (``cosineSimilarity``). x1, x2 [..., C, 1, 1] -> y [..., 1, 1, 1].
The format does not define the cosine with a vector of zeros; here it is 0.

``int8DynamicQuantize`` (8-bit weights, and an input that is quantized at run time): the format only says that the input
is quantized to 8 bits and the product dequantized. Here, the whole blob has one scale, its largest magnitude / 127,
without an offset; halves round to even; products are summed exactly.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import function_of
from coreml_updatable.spec.messages import NeuralNetworkLayer, WeightParams

MAX_INT8 = 127.0


class InnerProduct(nn.Module):
    """x [..., n] by W [k, n], plus b. ``spatial``: from rank 4 on, the last three axes are one."""

    def __init__(self, params: Any, inputs: int, outputs: int, spatial: bool, context: Context) -> None:
        super().__init__()
        self.context, self.inputs, self.spatial = context, inputs, spatial
        shape = (outputs, inputs)
        self.int8 = int8_weights(params.weights, shape, context) if params.int8DynamicQuantize else None
        self.weights = None if self.int8 else context.parameter(params.weights, shape, "weights")
        self.bias = context.parameter(params.bias, (outputs,), "bias") if params.hasBias else None

    def forward(self, x: Tensor) -> Tensor:
        self.context.expect_rank(x, 1)
        joined = self.spatial and x.dim() > 3
        if joined:
            x = x.flatten(-3)
        self.context.expect_channels(x.shape[-1], self.inputs)
        y = self._product(x)
        return y[..., None, None] if joined else y

    def _product(self, x: Tensor) -> Tensor:
        if self.int8 is None:
            assert self.weights is not None
            return functional.linear(x, self.weights, self.bias)
        values, scale = self.int8
        step = x.abs().amax().clamp(min=torch.finfo(torch.float32).tiny) / MAX_INT8
        quantized = (x / step).round().clamp(-MAX_INT8, MAX_INT8).to(torch.float64)
        y = ((quantized @ values.T) * (step * scale)).to(torch.float32)
        return y if self.bias is None else y + self.bias


def int8_weights(weights: WeightParams, shape: Sequence[int], context: Context) -> tuple[Tensor, float]:
    """The 8-bit weights as float64 of ``shape``, not scaled, and their scale; ModelError if the message is at fault."""
    scales = weights.quantization.linearQuantization.scale
    if len(weights.int8RawValue) != math.prod(shape) or len(scales) != 1:
        raise context.misfit(
            f"weights contain {len(weights.int8RawValue)} 8-bit values and {len(scales)} scales, expected "
            f"{math.prod(shape)} and 1 for dynamic quantization"
        )
    values = np.frombuffer(weights.int8RawValue, np.int8).reshape(shape)
    return torch.from_numpy(values.astype(np.float64)), float(scales[0])


def _matmul(params: Any, _context: Context, a: Tensor, b: Tensor) -> Tensor:
    a = a[None] if a.dim() == 1 else a
    b = b[:, None] if b.dim() == 1 else b
    return (a.mT if params.transposeA else a) @ (b.mT if params.transposeB else b)


def _dot(params: Any, context: Context, a: Tensor, b: Tensor) -> Tensor:
    for x in (a, b):
        if x.dim() < 3 or x.shape[-2:] != (1, 1):
            raise context.error(f"input has the shape {list(x.shape)}, the layer expects [..., C, 1, 1]")
    context.expect_channels(b.shape[-3], a.shape[-3])
    y = (a * b).sum(-3, keepdim=True)
    if not params.cosineSimilarity:
        return y
    lengths: Tensor = a.norm(dim=-3, keepdim=True) * b.norm(dim=-3, keepdim=True)
    return y / lengths.clamp(min=torch.finfo(torch.float32).tiny)


FORMULAS = {"batchedMatmul": _matmul, "dot": _dot}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    params = context.params
    if context.kind == "innerProduct":
        return InnerProduct(params, int(params.inputChannels), int(params.outputChannels), True, context)
    if context.kind == "batchedMatmul" and len(layer.input) == 1:
        sizes = int(params.weightMatrixFirstDimension), int(params.weightMatrixSecondDimension)
        return InnerProduct(params, *sizes, False, context)
    return function_of(context, FORMULAS)
