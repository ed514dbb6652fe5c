"""equal and its siblings: y = 1 where x1 op x2 holds, else 0, broadcast as in NumPy. ``EqualLayerParams`` and so on.

With one input, x2 is ``alpha``.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetworkLayer

FUNCTIONS = {
    "equal": torch.eq,
    "notEqual": torch.ne,
    "lessThan": torch.lt,
    "lessEqual": torch.le,
    "greaterThan": torch.gt,
    "greaterEqual": torch.ge,
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    context.expect_inputs(1, 2)
    kind = layer.WhichOneof("layer")
    function, alpha = FUNCTIONS[kind], getattr(layer, kind).alpha

    def compare(x: Tensor, *other: Tensor) -> Tensor:
        return function(x, other[0] if other else torch.tensor(alpha, dtype=x.dtype)).to(x.dtype)

    return Function(compare)
