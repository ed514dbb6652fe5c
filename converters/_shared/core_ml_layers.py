"""Write a small network on an array layer by layer, for sources that are formulas and need no tracing."""

from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.spec.features import describe_floats
from coreml_updatable.spec.messages import Model, Model_pb2, NeuralNetwork_pb2, NeuralNetworkLayer
from coreml_updatable.spec.weights import packed

SPECIFICATION_VERSION = 4  # the first with updatable models and exact shapes


class NetworkText:
    """A chain of layers, each reading the output of the one before; ``blob`` is the current output."""

    def __init__(self, name: str, length: int) -> None:
        """Add the input ``name``, float32 [length], which the layers read as [1, length, 1, 1]."""
        self.model: Model = Model_pb2.Model(specificationVersion=SPECIFICATION_VERSION)
        self.network = self.model.neuralNetwork
        self.network.arrayInputShapeMapping = NeuralNetwork_pb2.EXACT_ARRAY_MAPPING
        self.blob = name
        describe_floats(self.model.description.input.add(name=name), length)
        self.add("column").reshapeStatic.targetShape.extend([1, length, 1, 1])

    def add(self, name: str) -> NeuralNetworkLayer:
        layer = self.network.layers.add(name=name, input=[self.blob], output=[name])
        self.blob = name
        return layer

    def shift(self, name: str, values: Float64Array) -> None:
        """x + values."""
        params = self.add(name).bias
        params.shape.append(len(values))
        params.bias.MergeFromString(packed(values))

    def scale(self, name: str, values: Float64Array) -> None:
        """x * values."""
        params = self.add(name).scale
        params.shapeScale.append(len(values))
        params.scale.MergeFromString(packed(values))

    def dense(self, name: str, weights: Float64Array, bias: Float64Array) -> None:
        """weights [out, in] times x, plus bias [out]."""
        params = self.add(name).innerProduct
        params.outputChannels, params.inputChannels = weights.shape
        params.hasBias = True
        params.weights.MergeFromString(packed(weights))
        params.bias.MergeFromString(packed(bias))

    def activation(self, name: str, kind: str) -> None:
        """``kind`` is a field of ``ActivationParams`` without parameters."""
        getattr(self.add(name).activation, kind).SetInParent()

    def probabilities(self, name: str, classes: int) -> Model:
        """End with a softmax over ``classes`` as the output ``name``."""
        self.add(name).softmax.SetInParent()
        describe_floats(self.model.description.output.add(name=name), 1, classes, 1, 1)
        return self.model

    def vector(self, name: str, length: int) -> Model:
        """End with an array of rank 1 as the output ``name``."""
        self.add(name).reshapeStatic.targetShape.append(length)
        describe_floats(self.model.description.output.add(name=name), length)
        return self.model
