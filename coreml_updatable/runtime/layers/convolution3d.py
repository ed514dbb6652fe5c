"""convolution3d: y = W * x + b over depth, height, width; grouped, dilated, transposed. ``Convolution3DLayerParams``.

x [B, C_in, D, H, W] -> y [B, C_out, D', H', W']. W [C_out, C_in / groups, kD, kH, kW]; b [C_out]. Same padding gives
D' = ceil(D / stride), the odd zero at the back, bottom and right.

A deconvolution's full output, D' = (D - 1) stride + (kD - 1) dilation + 1, loses the borders; with same padding
D' = D stride, and ``outputShape`` is the size it names. The format's comment gives its W as [C_out / groups, C_in,
...]; coremltools writes [C_in, C_out / groups, ...], as for two axes, and so it is read here.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.sizes import expect_shape
from coreml_updatable.runtime.layers._shared.volume import SAME, Sides, bordered, custom_borders, same_borders, triple
from coreml_updatable.spec.messages import NeuralNetworkLayer


class Convolution3D(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.convolution3d
        self.context = context
        self.kernel, self.stride = triple(params, "kernel", context), triple(params, "stride", context)
        self.dilation = triple(params, "dilation", context)
        self.span = [(kernel - 1) * step + 1 for kernel, step in zip(self.kernel, self.dilation, strict=True)]
        self.same, self.borders = params.paddingType == SAME, custom_borders(params, context)
        self.inputs, self.outputs = int(params.inputChannels), int(params.outputChannels)
        self.groups = int(params.nGroups)
        if self.groups < 1 or self.inputs % self.groups or self.outputs % self.groups:
            raise ModelError(
                f"{context.where}: {self.groups} groups of {self.inputs} input and {self.outputs} output channels, "
                "expected a number that divides both; export the model again"
            )
        channels = (self.outputs, self.inputs // self.groups)
        if params.isDeconvolution:
            channels = (self.inputs, self.outputs // self.groups)
        self.weights = context.parameter(
            params.weights, (*channels, *self.kernel), "weights", channel_axis=int(params.isDeconvolution)
        )
        self.bias = context.parameter(params.bias, (self.outputs,), "bias") if params.hasBias else None

    def forward(self, x: Tensor) -> Tensor:
        self._expect(x)
        sides = same_borders(x.shape[2:], self.span, self.stride) if self.same else self.borders
        padded = bordered(x, sides, self.context)
        return functional.conv3d(padded, self.weights, self.bias, self.stride, 0, self.dilation, self.groups)

    def _expect(self, x: Tensor) -> None:
        if x.dim() != 5:
            raise self.context.error(f"input has rank {x.dim()}, the layer expects 5")
        self.context.expect_channels(x.shape[1], self.inputs)


class Deconvolution3D(Convolution3D):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__(layer, context)
        self.size = [int(size) for size in layer.convolution3d.outputShape]
        if len(self.size) not in (0, 3):
            raise context.misfit(f"outputShape has {len(self.size)} sizes, expected 3")

    def forward(self, x: Tensor) -> Tensor:
        self._expect(x)
        full = [
            (length - 1) * step + span for length, step, span in zip(x.shape[2:], self.stride, self.span, strict=True)
        ]
        sides = [(-before, -after) for before, after in self._cut(x.shape[2:], full)]
        expect_shape([x.shape[0], self.outputs, *full], self.context)
        y = functional.conv_transpose3d(
            x, self.weights, self.bias, self.stride, groups=self.groups, dilation=self.dilation
        )
        return bordered(y, sides, self.context)

    def _cut(self, size: Sequence[int], full: Sequence[int]) -> Sides:
        """What to take off each side of the full output; less than nothing adds zeros."""
        if not self.size and not self.same:
            return self.borders
        wanted = self.size or [length * step for length, step in zip(size, self.stride, strict=True)]
        totals = [has - wants for has, wants in zip(full, wanted, strict=True)]
        if min(wanted) < 1 or min(totals) < -max(self.stride):
            raise self.context.error(f"outputShape is {wanted}, the layer makes {list(full)}")
        return [(int(total / 2), total - int(total / 2)) for total in totals]


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return Deconvolution3D(layer, context) if layer.convolution3d.isDeconvolution else Convolution3D(layer, context)
