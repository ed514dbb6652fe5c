"""gru: z = f(clip(W_z x + R_z y' + b_z)); r = f(clip(W_r x + R_r y' + b_r)); o = g(clip(W_o x + R_o (y' r) + b_o));
y = (1 - z) o + z y', where y' is the step before. ``GRULayerParams``.

x [Seq, B, n, 1, 1], and y_0 [1, B, k, 1, 1] if given -> y [Seq or 1, B, k, 1, 1], and the last y if named. W [k, n],
R [k, k], b [k]. ``reverseInput`` gives the steps in the order of reading; the format leaves that order open.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.recurrence import activations, clipped, outputs, states, vectors
from coreml_updatable.spec.messages import NeuralNetworkLayer

GATES = ("updateGate", "resetGate", "outputGate")


class GRU(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.gru
        self.context = context
        self.inputs, self.size = int(params.inputVectorSize), int(params.outputVectorSize)
        self.whole, self.backwards, self.biased = params.sequenceOutput, params.reverseInput, params.hasBiasVectors
        self.f, self.g = activations(params.activations, 2, context)
        shapes: dict[str, tuple[int, ...]] = {
            "WeightMatrix": (self.size, self.inputs),
            "RecursionMatrix": (self.size, self.size),
        }
        if self.biased:
            shapes["BiasVector"] = (self.size,)
        for gate in GATES:
            for kind, shape in shapes.items():
                name = gate + kind
                self.register_parameter(name, context.parameter(getattr(params, name), shape, name))

    def forward(self, x: Tensor, *given: Tensor) -> Tensor | tuple[Tensor, ...]:
        sequence = vectors(x, self.inputs, self.context)
        (y,) = states(given, 1, sequence, self.size, self.context)
        bias = self._joined("BiasVector") if self.biased else None
        steps = functional.linear(sequence, self._joined("WeightMatrix"), bias)
        of_z, of_r, of_o = (self.get_parameter(gate + "RecursionMatrix") for gate in GATES)
        of_both = torch.cat([of_z, of_r])
        made = []
        for step in (steps.flip(0) if self.backwards else steps).unbind(0):
            z, r = self.f(clipped(step[:, : 2 * self.size] + functional.linear(y, of_both))).chunk(2, -1)
            o = self.g(clipped(step[:, 2 * self.size :] + functional.linear(y * r, of_o)))
            y = (1 - z) * o + z * y
            made.append(y)
        return outputs(made, [y], self.whole, self.context)

    def _joined(self, kind: str) -> Tensor:
        return torch.cat([self.get_parameter(gate + kind) for gate in GATES])


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return GRU(layer, context)
