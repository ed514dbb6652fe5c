"""Convolutions over two or three axes: y = W * x + b, optionally grouped, dilated or transposed.

convolution: y = W * x + b over height and width. x [..., C_in, H, W] -> y [..., C_out, H', W']; all axes before the
last three are batch axes. W is [C_out, C_in / groups, kH, kW], or [C_in, C_out / groups, kH, kW] for a deconvolution; b
is [C_out]. Except in a deconvolution, a second input can provide W instead of the message.

convolution3d: y = W * x + b over depth, height and width. x [B, C_in, D, H, W] -> y [B, C_out, D', H', W']. W is
[C_out, C_in / groups, kD, kH, kW], b is [C_out]. For a deconvolution, a comment in the format gives W as [C_out /
groups, C_in, ...], but coremltools writes [C_in, C_out / groups, ...], as for two axes; the runtime reads it that way.

Same padding gives H' = ceil(H / stride). A deconvolution removes the borders from its full output, H' = (H - 1) stride
+ (kH - 1) dilation + 1. With same padding, H' = H stride; ``outputShape`` sets the size explicitly. ``SamePadding``
says on which side the odd pixel goes; in volumes, it is the back, bottom and right.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.borders import (
    SAME,
    Borders,
    border_amounts,
    custom_borders,
    expect_borders,
    halves,
    padded,
    same_borders,
    triple,
)
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.sizes import expect_shape
from coreml_updatable.spec.messages import NeuralNetworkLayer

FORWARD: dict[int, Callable[..., Tensor]] = {2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED: dict[int, Callable[..., Tensor]] = {2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


class Convolution(nn.Module):
    """``fresh``: its output shares memory with nothing; a deconvolution's may be a part of a larger one."""

    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        self.context = context
        self.kernel: Sequence[int]
        self.stride: Sequence[int]
        self.dilation: Sequence[int]
        self.same: int | None  # the asymmetry
        if context.kind == "convolution":
            plane = layer.convolution
            self.kernel = context.pair(plane.kernelSize, 3, "kernelSize")
            self.stride = context.pair(plane.stride, 1, "stride")
            self.dilation = context.pair(plane.dilationFactor, 1, "dilationFactor")
            if plane.isDeconvolution:
                self.dilation = (1, 1)
            self.same = plane.same.asymmetryMode if plane.WhichOneof("ConvolutionPaddingType") == "same" else None
            self.borders = border_amounts(plane.valid.paddingAmounts, context)
            self.groups = int(plane.nGroups) or 1
            channels = int(plane.kernelChannels)
            self.in_channels = channels if plane.isDeconvolution else channels * self.groups
        else:
            volume = layer.convolution3d
            self.kernel, self.stride = triple(volume, "kernel", context), triple(volume, "stride", context)
            self.dilation = triple(volume, "dilation", context)
            self.same = 0 if volume.paddingType == SAME else None
            self.borders = custom_borders(volume, context)
            self.groups, self.in_channels = int(volume.nGroups), int(volume.inputChannels)
        params = context.params
        self.axes, self.out_channels = len(self.kernel), int(params.outputChannels)
        if self.groups < 1 or self.in_channels % self.groups or self.out_channels % self.groups:
            raise context.misfit(
                f"{self.groups} groups of {self.in_channels} input and {self.out_channels} output channels, "
                "expected a number that divides both"
            )
        first, second = self.out_channels, self.in_channels
        if params.isDeconvolution:
            first, second = second, first
        self.shape = (first, second // self.groups, *self.kernel)
        self.span = [(kernel - 1) * step + 1 for kernel, step in zip(self.kernel, self.dilation, strict=True)]
        self.fresh = not params.isDeconvolution
        if params.isDeconvolution and len(layer.input) != 1:
            raise context.misfit(f"has {len(layer.input)} inputs, the layer expects 1 as a deconvolution")
        self.weights: nn.Parameter | None = None
        if len(layer.input) == 1:
            self.weights = context.parameter(
                params.weights, self.shape, "weights", channel_axis=int(params.isDeconvolution)
            )
        self.bias = context.parameter(params.bias, (self.out_channels,), "bias") if params.hasBias else None

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        weights = self.weights if given is None else given
        if weights is None or weights.shape != self.shape:
            result = None if weights is None else list(weights.shape)
            raise self.context.error(f"weights have the shape {result}, the layer expects {list(self.shape)}")
        flat = self.flat(x)
        borders = self.borders
        if self.same is not None:
            borders = same_borders(flat.shape[-self.axes :], self.span, self.stride, self.same)
        expect_borders(flat, borders, self.context)
        padding = [before for before, _ in borders]
        if any(before != after for before, after in borders):
            flat, padding = padded(flat, borders, self.context), [0] * self.axes
        y = FORWARD[self.axes](flat, weights, self.bias, self.stride, padding, self.dilation, self.groups)
        return y.reshape(*x.shape[: -self.axes - 1], *y.shape[1:])

    def flat(self, x: Tensor) -> Tensor:
        """[n, C, (D,) H, W]; where gradients are taken, never channels-last (transposes give that too).

        On one thread, without AVX-512, torch 2.13 computes the weight gradient of a 1x1 convolution with unequal
        strides wrongly for such an input, and writes beyond its memory.
        """
        rank = self.axes + 1
        self.context.expect_rank(x, *((3,) if self.axes == 2 else (5, 5)))
        self.context.expect_channels(x.shape[-rank], self.in_channels)
        flat = x.reshape(-1, *x.shape[-rank:])
        return flat.contiguous() if torch.is_grad_enabled() else flat


class Deconvolution(Convolution):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__(layer, context)
        self.size = [int(size) for size in context.params.outputShape]
        if len(self.size) not in (0, self.axes) or min(self.size, default=1) < 1:
            raise context.misfit(f"outputShape is {self.size}, expected {self.axes} sizes of at least 1")

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:  # noqa: ARG002
        flat = self.flat(x)
        size = flat.shape[-self.axes :]
        full = [(length - 1) * step + span for length, step, span in zip(size, self.stride, self.span, strict=True)]
        expect_shape([len(flat), self.out_channels, *full], self.context)
        assert self.weights is not None
        y = TRANSPOSED[self.axes](
            flat, self.weights, self.bias, self.stride, groups=self.groups, dilation=self.dilation
        )
        y = padded(y, [(-before, -after) for before, after in self._cut(size, full)], self.context)
        return y.reshape(*x.shape[: -self.axes - 1], *y.shape[1:])

    def _cut(self, size: Sequence[int], full: Sequence[int]) -> Borders:
        """Return how much to crop from each side of the full output; a negative number adds zeros."""
        if not self.size and self.same is None:
            return self.borders
        target = self.size or [length * step for length, step in zip(size, self.stride, strict=True)]
        totals = [has - wants for has, wants in zip(full, target, strict=True)]
        if min(totals) < -max(self.stride):
            raise self.context.error(f"outputShape is {list(target)}, the layer makes {list(full)}")
        return [halves(total, self.same) for total in totals]


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return Deconvolution(layer, context) if context.params.isDeconvolution else Convolution(layer, context)
