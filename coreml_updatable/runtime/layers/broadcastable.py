"""addBroadcastable and its siblings: y = x1 op x2, broadcast as in NumPy. ``AddBroadcastableLayerParams`` and so on.

modBroadcastable takes the divisor's sign and floorDivBroadcastable rounds down, as NumPy; the format leaves that open.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer

FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "addBroadcastable": torch.add,
    "subtractBroadcastable": torch.subtract,
    "multiplyBroadcastable": torch.multiply,
    "divideBroadcastable": torch.divide,
    "maxBroadcastable": torch.maximum,
    "minBroadcastable": torch.minimum,
    "powBroadcastable": torch.pow,
    "modBroadcastable": torch.remainder,
    "floorDivBroadcastable": torch.floor_divide,
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    function = FUNCTIONS[layer.WhichOneof("layer")]
    if len(layer.input) != 2:
        raise context.error(f"has {len(layer.input)} inputs, the layer expects 2")
    return Function(lambda a, b: function(a, b))
