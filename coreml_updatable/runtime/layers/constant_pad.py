"""constantPad: ``value`` added before and after the input on every axis. ``ConstantPaddingLayerParams``.

``padAmounts`` is [before, after] an axis, for all axes: y [before + d + after, ...]. With ``padToGivenOutputSizeMode``
an amount is the size the axis shall have, padded on that side; an axis that is as large already stays. A second input
[2 rank] gives the amounts in the message's place.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import expect_shape, integers
from coreml_updatable.spec.messages import NeuralNetworkLayer


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(1, 2)
    params = layer.constantPad
    static = [int(amount) for amount in params.padAmounts]

    def pad(x: Tensor, *dynamic: Tensor) -> Tensor:
        amounts = integers(dynamic[0], context) if dynamic else static
        if len(amounts) != 2 * x.dim() or min(amounts) < 0:
            raise context.error(f"pads by {amounts}, expected {2 * x.dim()} amounts of 0 or more")
        pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
        if params.padToGivenOutputSizeMode:
            pairs = [_missing(pair, size, context) for pair, size in zip(pairs, x.shape, strict=True)]
        expect_shape([size + sum(pair) for pair, size in zip(pairs, x.shape, strict=True)], context)
        edges = [edge for pair in reversed(pairs) for edge in pair]  # torch counts from the last axis
        return functional.pad(x, edges, value=params.value)

    return Function(pad)


def _missing(pair: Sequence[int], size: int, context: Context) -> tuple[int, int]:
    """What an axis of ``size`` lacks, before and after, to the size that one of ``pair`` names."""
    before, after = pair
    if before and after:
        raise context.error(f"pads an axis to {before} and to {after}, expected one of them to be 0")
    return max(0, before - size) if before else 0, max(0, after - size) if after else 0
