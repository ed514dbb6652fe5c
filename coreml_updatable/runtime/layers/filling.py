"""Blobs whose values come from the model, not from an input.

loadConstant: a constant of shape [1, 1, C, H, W], where ``shape`` is [C, H, W]; no input. Writers that use the exact
array mapping also give a ``shape`` of another length; it is padded with leading ones to rank 5.

loadConstantND: a constant of the given ``shape``; no input.

fillLike, fillStatic, fillDynamic: a blob filled with ``value``. Its shape is that of the input (Like), ``targetShape``
(Static), or the values of the input, a blob [R] (Dynamic).

rangeStatic, rangeDynamic: start, start + step, ... up to but not including end -> [n], as in numpy.arange. rangeDynamic
reads end, start and step from its inputs, in that order; the message provides those without an input. rangeStatic
ignores its inputs.

getShape: the shape of the input. x of rank R -> [R].
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function, function_of
from coreml_updatable.runtime.layers._shared.sizes import expect_room, expect_shape, expect_single, integers
from coreml_updatable.spec.messages import NeuralNetworkLayer

RANK = 5  # of a loadConstant


class Constant(nn.Module):
    def __init__(self, context: Context) -> None:
        super().__init__()
        shape = [int(size) for size in context.params.shape]
        self.shape = shape
        if context.kind == "loadConstant":
            if not 1 <= len(shape) <= RANK:
                raise context.misfit(f"shape has {len(shape)} values, expected 3 (C, H, W)")
            self.shape = [1] * (RANK - len(shape)) + shape
        self.data = context.parameter(context.params.data, shape, "data")

    def forward(self) -> Tensor:
        return self.data.reshape(self.shape)


def _fill_like(params: Any, _context: Context, x: Tensor) -> Tensor:
    return torch.full(x.shape, params.value, dtype=x.dtype)


def _fill_dynamic(params: Any, context: Context, shape: Tensor) -> Tensor:
    return torch.full(expect_shape(integers(shape, context), context), params.value, dtype=shape.dtype)


def _range_dynamic(params: Any, context: Context, *inputs: Tensor) -> Tensor:
    for blob in inputs:
        expect_single(blob, context)
    stored = [0.0, params.startValue, params.stepSizeValue]
    end, start, step = [float(blob) for blob in inputs] + stored[len(inputs) :]
    return _range(end, start, step, context)


def _range(end: float, start: float, step: float, context: Context) -> Tensor:
    if step == 0 or not all(map(math.isfinite, (end, start, step))):
        raise context.error(f"the range from {start} to {end} by {step} never ends; expected a step that is not 0")
    count = max(0, math.ceil((end - start) / step))
    expect_room(count, context)
    return (start + step * torch.arange(count, dtype=torch.float64)).to(torch.float32)


def _get_shape(_params: Any, _context: Context, x: Tensor) -> Tensor:
    return torch.tensor(x.shape, dtype=x.dtype)


FORMULAS = {
    "fillLike": _fill_like,
    "fillDynamic": _fill_dynamic,
    "rangeDynamic": _range_dynamic,
    "getShape": _get_shape,
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    params = context.params
    match layer.WhichOneof("layer"):
        case "loadConstant" | "loadConstantND":
            return Constant(context)
        case "fillStatic":
            shape = expect_shape([int(size) for size in params.targetShape], context)
            return Function(lambda *_: torch.full(shape, params.value))
        case "rangeStatic":
            values = _range(params.endValue, params.startValue, params.stepSizeValue, context)
            return Function(lambda *_: values)
    return function_of(context, FORMULAS)
