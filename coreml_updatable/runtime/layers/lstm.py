"""uniDirectionalLSTM and biDirectionalLSTM. ``UniDirectionalLSTMLayerParams``, ``BiDirectionalLSTMLayerParams``.

With y', c' the step before:
input i = f(clip(W_i x + R_i y' + p_i c' + b_i)), forget r = f(clip(W_f x + R_f y' + p_f c' + b_f)),
z = g(clip(W_z x + R_z y' + b_z)), c = c' r + i z within the cell's clip (50 if not set),
output o = f(clip(W_o x + R_o y' + p_o c + b_o)), y = h(c) o.
``forgetBias`` adds 1 to b_f; ``coupledInputAndForgetGate`` puts 1 - i for r.

x [Seq, B, n, 1, 1]; states y_0, c_0 [1, B, k, 1, 1] if given, and for the other direction two more -> y [Seq or 1, B,
k or 2 k, 1, 1], and the last states if named, in the same order. W [k, n], R [k, k], p and b [k].
``reverseInput`` gives the steps in the order of reading, which the format leaves open. Of two directions the second
reads from the end; its step for x_t stands beside the first's, and without ``sequenceOutput`` both give their last.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.recurrence import (
    Activation,
    activations,
    clipped,
    outputs,
    states,
    vectors,
)
from coreml_updatable.spec.messages import NeuralNetworkLayer

GATES = ("inputGate", "forgetGate", "blockInput", "outputGate")
CELL_CLIP = 50.0


class Weights(nn.Module):
    """One direction: ``LSTMWeightParams``, its parameters by the names of the fields."""

    def __init__(self, message: Any, options: Any, inputs: int, size: int, context: Context) -> None:
        super().__init__()
        self.options, self.size = options, size
        shapes: dict[str, tuple[int, ...]] = {}
        for gate in GATES:
            shapes[gate + "WeightMatrix"] = (size, inputs)
            shapes[gate + "RecursionMatrix"] = (size, size)
            if options.hasBiasVectors:
                shapes[gate + "BiasVector"] = (size,)
            if options.hasPeepholeVectors and gate != "blockInput":
                shapes[gate + "PeepholeVector"] = (size,)
        for name, shape in shapes.items():
            self.register_parameter(name, context.parameter(getattr(message, name), shape, name))

    def forward(
        self, x: Tensor, y: Tensor, c: Tensor, functions: Sequence[Activation]
    ) -> tuple[list[Tensor], tuple[Tensor, Tensor]]:
        """Every step's y [B, k] for x [Seq, B, n], and the last y and c."""
        f, g, h = functions
        limit = self.options.cellClipThreshold or CELL_CLIP
        recursion = self._joined("RecursionMatrix")
        made = []
        for step in functional.linear(x, self._joined("WeightMatrix"), self._bias()).unbind(0):
            of_i, of_r, of_z, of_o = (step + functional.linear(y, recursion)).chunk(4, -1)
            i = f(clipped(self._seeing(of_i, "inputGate", c)))
            r = 1 - i if self.options.coupledInputAndForgetGate else f(clipped(self._seeing(of_r, "forgetGate", c)))
            c = (c * r + i * g(clipped(of_z))).clamp(-limit, limit)
            y = h(c) * f(clipped(self._seeing(of_o, "outputGate", c)))
            made.append(y)
        return made, (y, c)

    def _joined(self, kind: str) -> Tensor:
        return torch.cat([self.get_parameter(gate + kind) for gate in GATES])

    def _bias(self) -> Tensor | None:
        bias = self._joined("BiasVector") if self.options.hasBiasVectors else None
        if not self.options.forgetBias:
            return bias
        ones = torch.zeros(4, self.size)
        ones[GATES.index("forgetGate")] = 1.0
        return ones.flatten() if bias is None else bias + ones.flatten()

    def _seeing(self, x: Tensor, gate: str, c: Tensor) -> Tensor:
        """The gate's x with its peephole at the cell, if the layer has them."""
        return x + self.get_parameter(gate + "PeepholeVector") * c if self.options.hasPeepholeVectors else x


class UniDirectionalLSTM(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.uniDirectionalLSTM
        self.context = context
        self.inputs, self.size = int(params.inputVectorSize), int(params.outputVectorSize)
        self.whole, self.backwards = params.params.sequenceOutput, params.reverseInput
        self.functions = activations(params.activations, 3, context)
        self.weightParams = Weights(params.weightParams, params.params, self.inputs, self.size, context)

    def forward(self, x: Tensor, *given: Tensor) -> Tensor | tuple[Tensor, ...]:
        sequence = vectors(x, self.inputs, self.context)
        y, c = states(given, 2, sequence, self.size, self.context)
        made, last = self.weightParams(sequence.flip(0) if self.backwards else sequence, y, c, self.functions)
        return outputs(made, last, self.whole, self.context)


class BiDirectionalLSTM(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.biDirectionalLSTM
        self.context = context
        self.inputs, self.size = int(params.inputVectorSize), int(params.outputVectorSize)
        self.whole = params.params.sequenceOutput
        self.functions = [
            activations(messages, 3, context)
            for messages in (params.activationsForwardLSTM, params.activationsBackwardLSTM)
        ]
        if len(params.weightParams) != 2:
            raise context.misfit(f"has weights for {len(params.weightParams)} directions, expected 2")
        self.weightParams = nn.ModuleList(
            [Weights(message, params.params, self.inputs, self.size, context) for message in params.weightParams]
        )

    def forward(self, x: Tensor, *given: Tensor) -> Tensor | tuple[Tensor, ...]:
        sequence = vectors(x, self.inputs, self.context)
        y, c, y_back, c_back = states(given, 4, sequence, self.size, self.context)
        forwards, backwards = self.weightParams
        made, last = forwards(sequence, y, c, self.functions[0])
        made_back, last_back = backwards(sequence.flip(0), y_back, c_back, self.functions[1])
        if self.whole:
            pairs = zip(made, reversed(made_back), strict=True)
        else:
            pairs = zip(made[-1:], made_back[-1:], strict=True)
        joined = [torch.cat(pair, -1) for pair in pairs]
        return outputs(joined, [*last, *last_back], self.whole, self.context)


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    kind = layer.WhichOneof("layer")
    return UniDirectionalLSTM(layer, context) if kind == "uniDirectionalLSTM" else BiDirectionalLSTM(layer, context)
