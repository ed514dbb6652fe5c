"""rangeStatic, rangeDynamic: start, start + step, ... before end. ``RangeStaticLayerParams`` and so on.

-> [n], as numpy.arange. rangeDynamic reads end, start and step from its inputs, in that order; the message holds those
that no input gives. rangeStatic ignores inputs.
"""

import math

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import expect_room, expect_single
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    if layer.WhichOneof("layer") == "rangeStatic":
        static = layer.rangeStatic
        values = _range(static.endValue, static.startValue, static.stepSizeValue, context)
        return Function(lambda *_: values)
    context.expect_inputs(1, 2, 3)
    params = layer.rangeDynamic

    def dynamic(*inputs: Tensor) -> Tensor:
        given = [_number(blob, context) for blob in inputs]
        stored = [0.0, params.startValue, params.stepSizeValue]
        end, start, step = given + stored[len(given) :]
        return _range(end, start, step, context)

    return Function(dynamic)


def _number(blob: Tensor, context: Context) -> float:
    expect_single(blob, context)
    return float(blob)


def _range(end: float, start: float, step: float, context: Context) -> Tensor:
    if step == 0 or not all(map(math.isfinite, (end, start, step))):
        raise context.error(f"the range from {start} to {end} by {step} never ends; expected a step that is not 0")
    count = max(0, math.ceil((end - start) / step))
    expect_room(count, context)
    return (start + step * torch.arange(count, dtype=torch.float64)).to(torch.float32)
