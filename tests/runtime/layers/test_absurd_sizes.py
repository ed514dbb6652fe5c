"""Layers that declare far larger outputs than a machine holds: refused before anything is allocated."""

import resource
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime import load

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, of ru_maxrss


def upsample(layer: Any, mode: int = 0) -> None:
    layer.upsample.scalingFactor.extend([1000, 1000])
    layer.upsample.mode = mode


def borders(amounts: Any) -> None:
    for _ in range(2):
        amounts.borderAmounts.add(startEdgeSize=60000, endEdgeSize=60000)


def convolution(layer: Any, **fields: Any) -> None:
    params = layer.convolution
    params.outputChannels = params.kernelChannels = 2
    params.kernelSize.extend([1, 1])
    params.weights.floatValue.extend([1.0] * 4)
    params.stride.extend(fields.get("stride", [1, 1]))
    params.isDeconvolution = fields.get("deconvolution", False)
    params.outputShape.extend(fields.get("shape", []))


def bordered_convolution(layer: Any) -> None:
    convolution(layer)
    borders(layer.convolution.valid.paddingAmounts)


def pooled(layer: Any) -> None:
    layer.pooling.type = 1
    borders(layer.pooling.valid.paddingAmounts)


def reflected(layer: Any) -> None:
    layer.padding.reflection.SetInParent()
    borders(layer.padding.paddingAmounts)


CASES: dict[str, Callable[[Any], None]] = {
    "nearest": upsample,
    "bilinear": lambda layer: upsample(layer, 1),
    "padding": lambda layer: borders(layer.padding.paddingAmounts),
    "reflection": reflected,
    "convolution": bordered_convolution,
    "pooling": pooled,
    "stride": lambda layer: convolution(layer, stride=[2**20, 2**20], deconvolution=True),
    "shape": lambda layer: convolution(layer, shape=[2**30, 2**30], deconvolution=True),
    "fill": lambda layer: layer.fillStatic.targetShape.extend([2**30, 2**30]),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_before_it_is_made(case: str, make_model: Any) -> None:
    spec = make_model(lambda b: b.add_activation("big", "RELU", "x", "y"), {"x": (2, 64, 64)}, False)
    layer = spec.neuralNetwork.layers[0]
    layer.ClearField("activation")
    CASES[case](layer)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match=r"layer 'big': (needs [0-9.]+ GB of memory, .*--max-memory|outputShape is )"):
        load(spec).predict({"x": np.ones((2, 64, 64), np.float32)})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**28 // UNIT
