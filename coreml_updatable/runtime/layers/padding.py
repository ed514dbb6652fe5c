"""padding: borders around H and W: a constant, the reflected or the repeated edge. ``PaddingLayerParams``.

x [..., C, H, W] -> [..., C, top + H + bottom, left + W + right]. No kind set means the constant 0.
"""

from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.borders import expect_borders, valid_padding
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer

MODES = {"constant": "constant", "reflection": "reflect", "replication": "replicate"}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    params = layer.padding
    (top, bottom), (left, right) = valid_padding(params.paddingAmounts, context)
    mode = MODES[params.WhichOneof("PaddingType") or "constant"]
    value = params.constant.value

    def pad(x: Tensor) -> Tensor:
        context.expect_rank(x, 3)
        expect_borders(x, ((top, bottom), (left, right)), context)
        if mode == "constant":
            return functional.pad(x, (left, right, top, bottom), value=value)
        y = functional.pad(x.reshape(-1, *x.shape[-3:]), (left, right, top, bottom), mode)
        return y.reshape(*x.shape[:-3], *y.shape[1:])

    return Function(pad)
