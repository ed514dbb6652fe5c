"""convolution: y = W * x + b, grouped, dilated, or transposed. ``ConvolutionLayerParams``.

x [..., C_in, H, W] -> y [..., C_out, H', W']; axes before the last three are batch. W [C_out, C_in / groups, kH, kW],
or for a deconvolution [C_in, C_out / groups, kH, kW]; b [C_out]. A second input gives W in the message's place, unless
it is a deconvolution.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.borders import Borders, expect_borders, padded, same_padding, valid_padding
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.sizes import expect_shape
from coreml_updatable.spec.messages import NeuralNetworkLayer


class Convolution(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.convolution
        self.context = context
        self.kernel = context.pair(params.kernelSize, 3, "kernelSize")
        self.stride = context.pair(params.stride, 1, "stride")
        self.groups = int(params.nGroups) or 1
        self.same = params.same.asymmetryMode if params.WhichOneof("ConvolutionPaddingType") == "same" else None
        self.borders = valid_padding(params.valid.paddingAmounts, context)
        out, channels = int(params.outputChannels), int(params.kernelChannels)
        if out % self.groups:
            raise context.error(f"{out} output channels cannot be split into {self.groups} groups")
        shape = (channels, out // self.groups) if params.isDeconvolution else (out, channels)
        self.in_channels = channels if params.isDeconvolution else channels * self.groups
        self.shape = (*shape, *self.kernel)
        context.expect_inputs(*([1] if params.isDeconvolution else [1, 2]))
        self.weights: nn.Parameter | None = None
        if len(layer.input) == 1:
            self.weights = context.parameter(
                params.weights, self.shape, "weights", channel_axis=int(params.isDeconvolution)
            )
        self.bias = context.parameter(params.bias, (out,), "bias") if params.hasBias else None

    def flat(self, x: Tensor) -> Tensor:
        """[n, C, H, W]; where gradients are taken, never channels-last (transposes give that too).

        On one thread, without AVX-512, torch 2.13 computes the weight gradient of a 1x1 convolution with unequal
        strides wrongly for such an input, and writes beyond its memory.
        """
        self.context.expect_rank(x, 3)
        self.context.expect_channels(x.shape[-3], self.in_channels)
        flat = x.reshape(-1, *x.shape[-3:])
        return flat.contiguous() if torch.is_grad_enabled() else flat


class ForwardConvolution(Convolution):
    fresh = True  # its output shares memory with nothing

    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__(layer, context)
        self.dilation = context.pair(layer.convolution.dilationFactor, 1, "dilationFactor")

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        weights = self.weights if given is None else given
        if weights is None or weights.shape != self.shape:
            found = None if weights is None else list(weights.shape)
            raise self.context.error(f"weights have the shape {found}, the layer expects {list(self.shape)}")
        flat = self.flat(x)
        if self.same is None:
            borders = self.borders
        else:
            spans = [(kernel - 1) * step + 1 for kernel, step in zip(self.kernel, self.dilation, strict=True)]
            borders = same_padding(flat.shape[-2:], spans, self.stride, self.same)
        expect_borders(flat, borders, self.context)
        (top, bottom), (left, right) = borders
        if top != bottom or left != right:
            flat, top, left = padded(flat, borders, self.context), 0, 0
        y = functional.conv2d(flat, weights, self.bias, self.stride, (top, left), self.dilation, self.groups)
        return y.reshape(*x.shape[:-3], *y.shape[1:])


class Deconvolution(Convolution):
    """The transposed convolution's full output, H' = (H - 1) stride + kernel, less the borders.

    Same padding gives H' = H stride, and ``outputShape`` the size it names; the odd pixel goes as ``SamePadding`` says.
    """

    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__(layer, context)
        declared = layer.convolution.outputShape
        self.size = context.pair(declared, 1, "outputShape") if declared else None

    def forward(self, x: Tensor) -> Tensor:
        flat = self.flat(x)
        full = [
            (length - 1) * step + kernel
            for length, step, kernel in zip(flat.shape[-2:], self.stride, self.kernel, strict=True)
        ]
        expect_shape([len(flat), self.shape[1] * self.groups, *full], self.context)
        assert self.weights is not None
        (top, bottom), (left, right) = self._crop(flat, full)
        y = functional.conv_transpose2d(flat, self.weights, self.bias, self.stride, groups=self.groups)
        y = padded(y, ((-top, -bottom), (-left, -right)), self.context)
        return y.reshape(*x.shape[:-3], *y.shape[1:])

    def _crop(self, x: Tensor, full: Sequence[int]) -> Borders:
        if self.size is None and self.same is None:
            return self.borders
        height, width = self.size or (x.shape[-2] * self.stride[0], x.shape[-1] * self.stride[1])
        return _halves(full[0] - height, self.same), _halves(full[1] - width, self.same)


def _halves(total: int, asymmetry: int | None) -> tuple[int, int]:
    smaller = int(total / 2)  # towards zero: a negative total pads
    return (total - smaller, smaller) if asymmetry else (smaller, total - smaller)


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return Deconvolution(layer, context) if layer.convolution.isDeconvolution else ForwardConvolution(layer, context)
