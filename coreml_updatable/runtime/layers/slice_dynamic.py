"""sliceDynamic: x[begin:end:stride] on every axis, as in NumPy, begin read from a blob. ``SliceDynamicLayerParams``.

Inputs: x, begin ids, then as many as there are of end ids, strides, begin masks, end masks, squeeze masks, each with
one value an axis; the message holds those that no input gives. Longer lists count up to the rank: writers put five.
"""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import integers
from coreml_updatable.runtime.layers._shared.slicing import Section, cut
from coreml_updatable.spec.messages import NeuralNetworkLayer

WORDS = ("begin ids", "end ids", "strides", "begin masks", "end masks", "squeeze masks")


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(2, 3, 4, 5, 6, 7)
    params = layer.sliceDynamic
    stored: list[list[int]] = [
        [],
        [int(end) for end in params.endIds],
        [int(stride) for stride in params.strides],
        [int(flag) for flag in params.beginMasks],
        [int(flag) for flag in params.endMasks],
        [int(flag) for flag in params.squeezeMasks],
    ]

    def sliced(x: Tensor, *blobs: Tensor) -> Tensor:
        read = [integers(blob, context) for blob in blobs]
        rank = x.dim()
        begins, ends, strides, *masks = read + stored[len(read) :]
        strides = strides or [1] * rank
        flags = [[bool(flag) for flag in mask] or [False] * rank for mask in masks]
        lengths = [len(begins), len(ends), len(strides), *(len(mask) for mask in flags)]
        for length, word in zip(lengths, WORDS, strict=True):
            if length < rank:
                raise context.error(f"has {length} {word} for an input of rank {rank}")
        return cut(x, Section(begins, ends, strides, *flags), context)

    return Function(sliced)
