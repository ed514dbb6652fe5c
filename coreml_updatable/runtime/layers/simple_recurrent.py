"""simpleRecurrent: y_t = f(clip(W x_t + R y_{t-1} + b)). ``SimpleRecurrentLayerParams``.

x [Seq, B, n, 1, 1], and y_0 [1, B, k, 1, 1] if given -> y [Seq or 1, B, k, 1, 1], and the last y if named. W [k, n],
R [k, k], b [k]. ``reverseInput`` reads the sequence from its end, and gives the steps in the order of reading, as the
Keras layers do from which it comes; the format leaves that order open.
"""

from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.recurrence import activations, clipped, outputs, states, vectors
from coreml_updatable.spec.messages import NeuralNetworkLayer


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
        made = []
        for step in (steps.flip(0) if self.backwards else steps).unbind(0):
            y = self.activation(clipped(step + functional.linear(y, self.recursionMatrix)))
            made.append(y)
        return outputs(made, [y], self.whole, self.context)


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return SimpleRecurrent(layer, context)
