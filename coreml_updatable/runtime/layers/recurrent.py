"""Recurrent layers over a sequence [Seq, B, n, 1, 1]. A state is [1, B, k, 1, 1]; it is zero if no input provides it.

simpleRecurrent: y_t = f(clip(W x_t + R y_{t-1} + b)). x [Seq, B, n, 1, 1] and optionally y_0 [1, B, k, 1, 1] -> y [Seq
or 1, B, k, 1, 1], and the last y if an output is named for it. W is [k, n], R is [k, k], b is [k].

gru: z = f(clip(W_z x + R_z y' + b_z)); r = f(clip(W_r x + R_r y' + b_r)); o = g(clip(W_o x + R_o (y' r) + b_o)); y = (1
- z) o + z y', where y' is the y of the previous step. Shapes as in simpleRecurrent.

uniDirectionalLSTM, biDirectionalLSTM: with y' and c' from the previous step, input gate i = f(clip(W_i x + R_i y' + p_i
c' + b_i)), forget gate r = f(clip(W_f x + R_f y' + p_f c' + b_f)), z = g(clip(W_z x + R_z y' + b_z)), c = c' r + i z,
clipped to the cell's threshold (50 by default), output gate o = f(clip(W_o x + R_o y' + p_o c + b_o)), y = h(c) o.
``forgetBias`` adds 1 to b_f; ``coupledInputAndForgetGate`` replaces r by 1 - i. x [Seq, B, n, 1, 1], optionally with
the states y_0 and c_0 [1, B, k, 1, 1], and two more for the other direction -> y [Seq or 1, B, k or 2 k, 1, 1], and the
last states in the same order if outputs are named for them. W is [k, n], R is [k, k], p and b are [k]. In a
biDirectionalLSTM, the second direction reads from the end; its output for x_t is appended to that of the first, and
without ``sequenceOutput`` both return their last step.

Every gate is clipped to [-50, 50] before its activation. ``reverseInput`` reads the sequence from its end and returns
the steps in the order of reading, as the Keras layers from which it comes; the format leaves that order open.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.engine import loops
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.messages import NeuralNetworkLayer

Activation: TypeAlias = Callable[[Tensor], Tensor]
CLIP = 50.0
# What the format allows in a recurrent layer; writers leave the fields at zero, so zeros mean these (alpha, beta).
CONSTANTS = {"linear": (1.0, 0.0), "scaledTanh": (1.7159, 2 / 3), "sigmoidHard": (0.2, 0.5)}
FUNCTIONS: dict[str, Activation] = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "ReLU": torch.relu}
GRU_GATES = ("updateGate", "resetGate", "outputGate")
LSTM_GATES = ("inputGate", "forgetGate", "blockInput", "outputGate")
CELL_CLIP = 50.0


def clipped(x: Tensor) -> Tensor:
    """Clip x to [-50, 50], as every gate is before its activation."""
    return x.clamp(-CLIP, CLIP)


def activations(messages: Sequence[Any], count: int, context: Context) -> list[Activation]:
    """Return the functions of ``count`` ``ActivationParams`` messages; ModelError if there are more or fewer."""
    if len(messages) != count:
        raise context.misfit(f"has {len(messages)} activations, expected {count}")
    return [_activation(message, context) for message in messages]


def _activation(message: Any, context: Context) -> Activation:
    kind = message.WhichOneof("NonlinearityType")
    if kind in FUNCTIONS:
        return FUNCTIONS[kind]
    if kind not in CONSTANTS:
        known = ", ".join(sorted([*FUNCTIONS, *CONSTANTS]))
        raise ModelError(f"{context.where}: '{kind}' is not an activation of a recurrent layer; use one of {known}")
    params = getattr(message, kind)
    alpha, beta = (params.alpha, params.beta) if params.alpha or params.beta else CONSTANTS[kind]
    if kind == "linear":
        return lambda x: alpha * x + beta
    if kind == "scaledTanh":
        return lambda x: alpha * torch.tanh(beta * x)
    return lambda x: (alpha * x + beta).clamp(0.0, 1.0)


def vectors(x: Tensor, size: int, context: Context) -> Tensor:
    """Return the sequence [Seq, B, size, 1, 1] as vectors [Seq, B, size]."""
    if x.dim() != 5 or x.shape[2:] != (size, 1, 1):
        raise context.error(f"input has the shape {list(x.shape)}, the layer expects [Seq, Batch, {size}, 1, 1]")
    return x[..., 0, 0]


def states(given: Sequence[Tensor], count: int, x: Tensor, size: int, context: Context) -> list[Tensor]:
    """Return ``count`` states [B, size] for the vectors x [Seq, B, ...]: the given ones, or zeros."""
    if len(given) not in (0, count):
        raise context.error(f"has {len(given) + 1} inputs, the layer expects 1 or {count + 1}")
    batch = x.shape[1]
    if not given:
        return [x.new_zeros(batch, size)] * count
    for state in given:
        if (
            state.dim() != 5
            or state.shape[0] != 1
            or state.shape[1] not in (1, batch)
            or state.shape[2:] != (size, 1, 1)
        ):
            raise context.error(
                f"a state has the shape {list(state.shape)}, the layer expects [1, {batch}, {size}, 1, 1]"
            )
    return [state[0, ..., 0, 0].expand(batch, size) for state in given]


def blob(y: Tensor) -> Tensor:
    """Return vectors [..., n] as a blob [..., n, 1, 1]."""
    return y[..., None, None]


def outputs(y: Tensor, last: Sequence[Tensor], context: Context) -> Tensor | tuple[Tensor, ...]:
    """The layer's outputs: y [Seq or 1, B, k] as a blob; then, if the layer names them, the ``last`` states."""
    y = blob(y)
    named = len(context.layer.output)
    if named not in (1, len(last) + 1):
        raise context.misfit(f"has {named} outputs, expected 1 or {len(last) + 1}")
    return y if named == 1 else (y, *(blob(state)[None] for state in last))


class SimpleRecurrent(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.simpleRecurrent
        self.context = context
        self.inputs, self.size = int(params.inputVectorSize), int(params.outputVectorSize)
        self.whole, self.backwards = params.sequenceOutput, params.reverseInput
        (self.activation,) = activations([params.activation], 1, context)
        self.weightMatrix = context.parameter(params.weightMatrix, (self.size, self.inputs), "weightMatrix")
        self.recursionMatrix = context.parameter(params.recursionMatrix, (self.size, self.size), "recursionMatrix")
        self.biasVector = (
            context.parameter(params.biasVector, (self.size,), "biasVector") if params.hasBiasVector else None
        )

    def forward(self, x: Tensor, *given: Tensor) -> Tensor | tuple[Tensor, ...]:
        sequence = vectors(x, self.inputs, self.context)
        (y,) = states(given, 1, sequence, self.size, self.context)
        steps = functional.linear(sequence, self.weightMatrix, self.biasVector)

        def step(x: Tensor, y: Tensor) -> tuple[Tensor]:
            return (self.activation(clipped(x + functional.linear(y, self.recursionMatrix))),)

        result, last = loops.over(steps.flip(0) if self.backwards else steps, [y], step, whole=self.whole)
        return outputs(result, last, self.context)


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
        for gate in GRU_GATES:
            for kind, shape in shapes.items():
                name = gate + kind
                self.register_parameter(name, context.parameter(getattr(params, name), shape, name))

    def forward(self, x: Tensor, *given: Tensor) -> Tensor | tuple[Tensor, ...]:
        sequence = vectors(x, self.inputs, self.context)
        (y,) = states(given, 1, sequence, self.size, self.context)
        bias = self._joined("BiasVector") if self.biased else None
        steps = functional.linear(sequence, self._joined("WeightMatrix"), bias)
        of_z, of_r, of_o = (self.get_parameter(gate + "RecursionMatrix") for gate in GRU_GATES)
        of_both = torch.cat([of_z, of_r])

        def step(x: Tensor, y: Tensor) -> tuple[Tensor]:
            z, r = self.f(clipped(x[:, : 2 * self.size] + functional.linear(y, of_both))).chunk(2, -1)
            o = self.g(clipped(x[:, 2 * self.size :] + functional.linear(y * r, of_o)))
            return ((1 - z) * o + z * y,)

        result, last = loops.over(steps.flip(0) if self.backwards else steps, [y], step, whole=self.whole)
        return outputs(result, last, self.context)

    def _joined(self, kind: str) -> Tensor:
        return torch.cat([self.get_parameter(gate + kind) for gate in GRU_GATES])


class DirectionWeights(nn.Module):
    """One direction: ``LSTMWeightParams``, its parameters by the names of the fields."""

    def __init__(self, message: Any, options: Any, inputs: int, size: int, context: Context) -> None:
        super().__init__()
        self.options, self.size = options, size
        shapes: dict[str, tuple[int, ...]] = {}
        for gate in LSTM_GATES:
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
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """y [Seq or 1, B, k] for x [Seq, B, n], and the last y and c."""
        f, g, h = functions
        limit = self.options.cellClipThreshold or CELL_CLIP
        recursion = self._joined("RecursionMatrix")

        def step(x: Tensor, y: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
            of_i, of_r, of_z, of_o = (x + functional.linear(y, recursion)).chunk(4, -1)
            i = f(clipped(self._seeing(of_i, "inputGate", c)))
            r = 1 - i if self.options.coupledInputAndForgetGate else f(clipped(self._seeing(of_r, "forgetGate", c)))
            c = (c * r + i * g(clipped(of_z))).clamp(-limit, limit)
            return h(c) * f(clipped(self._seeing(of_o, "outputGate", c))), c

        steps = functional.linear(x, self._joined("WeightMatrix"), self._bias())
        return loops.over(steps, (y, c), step, whole=self.options.sequenceOutput)

    def _joined(self, kind: str) -> Tensor:
        return torch.cat([self.get_parameter(gate + kind) for gate in LSTM_GATES])

    def _bias(self) -> Tensor | None:
        bias = self._joined("BiasVector") if self.options.hasBiasVectors else None
        if not self.options.forgetBias:
            return bias
        ones = torch.zeros(4, self.size)
        ones[LSTM_GATES.index("forgetGate")] = 1.0
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
        self.backwards = params.reverseInput
        self.functions = activations(params.activations, 3, context)
        self.weightParams = DirectionWeights(params.weightParams, params.params, self.inputs, self.size, context)

    def forward(self, x: Tensor, *given: Tensor) -> Tensor | tuple[Tensor, ...]:
        sequence = vectors(x, self.inputs, self.context)
        y, c = states(given, 2, sequence, self.size, self.context)
        result, last = self.weightParams(sequence.flip(0) if self.backwards else sequence, y, c, self.functions)
        return outputs(result, last, self.context)


class BiDirectionalLSTM(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.biDirectionalLSTM
        self.context = context
        self.inputs, self.size = int(params.inputVectorSize), int(params.outputVectorSize)
        self.functions = [
            activations(messages, 3, context)
            for messages in (params.activationsForwardLSTM, params.activationsBackwardLSTM)
        ]
        if len(params.weightParams) != 2:
            raise context.misfit(f"has weights for {len(params.weightParams)} directions, expected 2")
        self.weightParams = nn.ModuleList(
            [
                DirectionWeights(message, params.params, self.inputs, self.size, context)
                for message in params.weightParams
            ]
        )

    def forward(self, x: Tensor, *given: Tensor) -> Tensor | tuple[Tensor, ...]:
        sequence = vectors(x, self.inputs, self.context)
        y, c, y_back, c_back = states(given, 4, sequence, self.size, self.context)
        forwards, backwards = self.weightParams
        result, last = forwards(sequence, y, c, self.functions[0])
        made_back, last_back = backwards(sequence.flip(0), y_back, c_back, self.functions[1])
        return outputs(torch.cat([result, made_back.flip(0)], -1), [*last, *last_back], self.context)


LAYERS: dict[str, Callable[[NeuralNetworkLayer, Context], nn.Module]] = {
    "simpleRecurrent": SimpleRecurrent,
    "gru": GRU,
    "uniDirectionalLSTM": UniDirectionalLSTM,
    "biDirectionalLSTM": BiDirectionalLSTM,
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return LAYERS[context.kind](layer, context)
