"""Control flow: networks nested in a network, which read and write the blobs of the network around them.

branch: runs ``ifBranch`` if |x| > 1e-6, otherwise ``elseBranch`` if there is one. x has one value. The layer itself has
no output.

loop: runs ``bodyNetwork`` repeatedly. Without a ``conditionNetwork``, it runs ``maxLoopIterations`` times, or as often
as the input (one value) says. A ``conditionNetwork`` runs before every iteration; the loop ends when it writes a
``conditionVar`` near zero (|x| <= 1e-6), or after the number of iterations if the layer has an input or
``maxLoopIterations`` is not 0. The format does not limit the number of iterations; the runtime does, for all loops of a
model together.

loopBreak: ends the enclosing loop.

loopContinue: continues with the next iteration of the enclosing loop.
"""

from torch import Tensor, nn

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.engine import work
from coreml_updatable.runtime.engine.graph import nested
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.sizes import integer
from coreml_updatable.spec.messages import NeuralNetwork, NeuralNetworkLayer

NEAR_ZERO = 1e-6


def is_true(x: Tensor, context: Context) -> bool:
    """Return |x| > 1e-6. A batch has no single answer: torch refuses it, and its rows run one at a time."""
    if x.numel() != 1:
        raise context.error(f"its condition has {x.numel()} values, the layer expects 1")
    return bool(x.abs() > NEAR_ZERO)


class Branch(nn.Module):
    scoped = True

    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        self.context = context
        self.ifBranch = context.build_network(layer.branch.ifBranch)
        self.elseBranch = context.build_network(layer.branch.elseBranch)

    def forward(self, blobs: dict[str, Tensor]) -> None:
        condition = is_true(blobs[self.context.layer.input[0]], self.context)
        (self.ifBranch if condition else self.elseBranch)(blobs)


class BreakError(ModelError):
    """Ends the enclosing loop; without one, it is shown as an error."""


class ContinueError(ModelError):
    """Ends the iteration of the enclosing loop; without one, it is shown as an error."""


class Leave(nn.Module):
    """loopBreak, loopContinue."""

    scoped = True

    def __init__(self, signal: type[ModelError], context: Context) -> None:
        super().__init__()
        self.signal, self.context = signal, context

    def forward(self, blobs: dict[str, Tensor]) -> None:  # noqa: ARG002
        raise self.signal(f"{self.context.where}: is outside the body of a loop; move it into one or remove it")


class Loop(nn.Module):
    scoped = True

    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.loop
        self.context = context
        self.condition = str(params.conditionVar)
        self.conditionNetwork = context.build_network(params.conditionNetwork)
        self.bodyNetwork = context.build_network(params.bodyNetwork)
        self.most = int(params.maxLoopIterations)
        self.breaks = _breaks(params.bodyNetwork)

    def forward(self, blobs: dict[str, Tensor]) -> None:
        rounds, bounded = self._rounds(blobs)
        if bounded and rounds > work.MOST and not self.condition and not self.breaks:
            raise work.endless(self.context.where)  # known before the first round
        done = 0
        while self._goes_on(blobs) and (done < rounds or not bounded):
            work.count(1, self.context.where)
            done += 1
            try:
                self.bodyNetwork(blobs)
            except ContinueError:
                continue
            except BreakError:
                return

    def _rounds(self, blobs: dict[str, Tensor]) -> tuple[int, bool]:
        """How many rounds at most, and whether that counts."""
        if not self.context.layer.input:
            return self.most, bool(self.most) or not self.condition
        return integer(blobs[self.context.layer.input[0]], self.context), True

    def _goes_on(self, blobs: dict[str, Tensor]) -> bool:
        if not self.condition:
            return True
        self.conditionNetwork(blobs)
        if self.condition not in blobs:
            raise ModelError(f"{self.context.where}: no layer writes its condition '{self.condition}'; check the names")
        return is_true(blobs[self.condition], self.context)


def _breaks(body: NeuralNetwork) -> bool:
    """Return whether the body contains a loopBreak."""
    return any(
        layer.WhichOneof("layer") == "loopBreak" or any(_breaks(network) for network in nested(layer))
        for layer in body.layers
    )


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    match layer.WhichOneof("layer"):
        case "branch":
            return Branch(layer, context)
        case "loopBreak":
            return Leave(BreakError, context)
        case "loopContinue":
            return Leave(ContinueError, context)
    return Loop(layer, context)
