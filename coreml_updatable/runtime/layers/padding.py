"""Add borders to an input, or remove them.

padding: adds borders around H and W: a constant, the reflected pixels, or the repeated edge. x [..., C, H, W] -> [...,
C, top + H + bottom, left + W + right]. The default is the constant 0.

crop: removes borders from H and W of x [..., C, H, W]. With one input, it removes ``cropAmounts`` on each side. With
two inputs, it cuts x to the height and width of the second, starting at ``offset``, which defaults to [0, 0].

constantPad: adds ``value`` before and after the input on every axis. ``padAmounts`` contains [before, after] for each
axis: y [before + d + after, ...]. With ``padToGivenOutputSizeMode``, an amount is the size that the axis should have,
padded on that side; an axis that is already as large stays unchanged. A second input [2 rank] can provide the amounts
instead of the message.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.borders import border_amounts, expect_borders, torch_edges
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function, function_of
from coreml_updatable.runtime.layers._shared.sizes import expect_shape, integers
from coreml_updatable.spec.messages import NeuralNetworkLayer

MODES = {"constant": "constant", "reflection": "reflect", "replication": "replicate"}


def _padding(params: Any, context: Context) -> Function:
    borders = border_amounts(params.paddingAmounts, context)
    mode = MODES[params.WhichOneof("PaddingType") or "constant"]
    edges = torch_edges(borders)

    def pad(x: Tensor) -> Tensor:
        context.expect_rank(x, 3)
        expect_borders(x, borders, context)
        if mode == "constant":
            return functional.pad(x, edges, value=params.constant.value)
        y = functional.pad(x.reshape(-1, *x.shape[-3:]), edges, mode)
        return y.reshape(*x.shape[:-3], *y.shape[1:])

    return Function(pad)


def _crop(params: Any, context: Context) -> Function:
    borders = border_amounts(params.cropAmounts, context)
    offset = [int(amount) for amount in params.offset] or [0, 0]
    if len(offset) != 2:
        raise context.misfit(f"offset has {len(offset)} values, expected 2 (height, width)")

    def crop(x: Tensor, like: Tensor | None = None) -> Tensor:
        context.expect_rank(x, 3)
        for axis, (before, after), first in zip((-2, -1), borders, offset, strict=True):
            size = x.shape[axis]
            start, end = (before, size - after) if like is None else (first, first + like.shape[axis])
            if not 0 <= start < end <= size:
                raise context.error(
                    f"axis {axis} of the input has the size {size}, which does not contain {start}:{end}"
                )
            x = x.narrow(axis, start, end - start)
        return x

    return Function(crop)


def _constant_pad(params: Any, context: Context, x: Tensor, *dynamic: Tensor) -> Tensor:
    amounts = integers(dynamic[0], context) if dynamic else [int(amount) for amount in params.padAmounts]
    if len(amounts) != 2 * x.dim() or min(amounts) < 0:
        raise context.error(f"pads by {amounts}, expected {2 * x.dim()} amounts of 0 or more")
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    if params.padToGivenOutputSizeMode:
        pairs = [_missing(pair, size, context) for pair, size in zip(pairs, x.shape, strict=True)]
    expect_shape([size + sum(pair) for pair, size in zip(pairs, x.shape, strict=True)], context)
    return functional.pad(x, torch_edges(pairs), value=params.value)


def _missing(pair: Sequence[int], size: int, context: Context) -> tuple[int, int]:
    """Return the padding before and after an axis of ``size`` that gives it the size in ``pair``."""
    before, after = pair
    if before and after:
        raise context.error(f"pads an axis to {before} and to {after}, expected one of them to be 0")
    return max(0, before - size) if before else 0, max(0, after - size) if after else 0


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    if context.kind == "padding":
        return _padding(layer.padding, context)
    if context.kind == "crop":
        return _crop(layer.crop, context)
    return function_of(context, {"constantPad": _constant_pad})
