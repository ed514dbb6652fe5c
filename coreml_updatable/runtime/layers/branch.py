"""branch: runs ``ifBranch`` where |x| > 1e-6, else ``elseBranch`` if there is one. ``BranchLayerParams``.

x one value. The branch reads and writes the blobs of the network around it; it gives no output of its own.
"""

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.truth import is_true
from coreml_updatable.spec.messages import NeuralNetworkLayer


class Branch(nn.Module):
    scoped = True

    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        context.expect_inputs(1)
        self.context = context
        self.ifBranch = context.build_network(layer.branch.ifBranch)
        self.elseBranch = context.build_network(layer.branch.elseBranch)

    def forward(self, blobs: dict[str, Tensor]) -> None:
        condition = is_true(blobs[self.context.layer.input[0]], self.context)
        (self.ifBranch if condition else self.elseBranch)(blobs)


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return Branch(layer, context)
