"""Networks of one layer, small enough to compute every result by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2, NeuralNetwork, NeuralNetwork_pb2

FLOAT32, INT32 = FeatureTypes_pb2.ArrayFeatureType.FLOAT32, FeatureTypes_pb2.ArrayFeatureType.INT32
SPECIFICATION = 4  # the first with updatable models
Weights = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Training:
    """The defaults of a network's update parameters. Adam where ``eps`` is set, else SGD. ``seed`` None sets none."""

    rate: float = 1.0
    batch: int = 1
    epochs: int = 1
    shuffle: bool = False
    seed: int | None = 0
    momentum: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.75
    eps: float | None = None


def classifier(weights: Weights, training: Training) -> Model:
    """x [D] -> scores [K] = W x -> probabilities = softmax(scores); categorical cross entropy.

    The class to learn is ``probabilities_true`` [1]. Scores are an output as well: they are linear in the weights.
    """
    model = _model(weights, training)
    network = model.neuralNetwork
    softmax = network.layers.add(name="softmax", input=["scores"], output=["probabilities"])
    softmax.softmax.SetInParent()
    _array(model.description.output.add(name="probabilities"), len(weights), FLOAT32)
    _array(model.description.trainingInput.add(name="probabilities_true"), 1, INT32)
    loss = network.updateParams.lossLayers.add(name="loss").categoricalCrossEntropyLossLayer
    loss.input, loss.target = "probabilities", "probabilities_true"
    return model


def regressor(weights: Weights, training: Training) -> Model:
    """x [D] -> scores [K] = W x; mean squared error against ``scores_true`` [K]."""
    model = _model(weights, training)
    _array(model.description.trainingInput.add(name="scores_true"), len(weights), FLOAT32)
    loss = model.neuralNetwork.updateParams.lossLayers.add(name="loss").meanSquaredErrorLossLayer
    loss.input, loss.target = "scores", "scores_true"
    return model


def softmax_alone(shape: Sequence[int]) -> Model:
    """x [n] -> the same values in ``shape`` -> probabilities = softmax, in that shape. It only predicts."""
    model = Model_pb2.Model(specificationVersion=SPECIFICATION)
    _array(model.description.input.add(name="x"), prod(shape), FLOAT32)
    _array(model.description.output.add(name="probabilities"), shape, FLOAT32)
    network = model.neuralNetwork
    network.arrayInputShapeMapping = NeuralNetwork_pb2.EXACT_ARRAY_MAPPING
    shaped = network.layers.add(name="shaped", input=["x"], output=["scores"])
    shaped.reshapeStatic.targetShape.extend(shape)
    softmax = network.layers.add(name="softmax", input=["scores"], output=["probabilities"])
    softmax.softmax.SetInParent()
    return model


def _model(weights: Weights, training: Training) -> Model:
    model = Model_pb2.Model(specificationVersion=SPECIFICATION, isUpdatable=True)
    size = len(weights[0])
    for features in (model.description.input, model.description.trainingInput):
        _array(features.add(name="x"), size, FLOAT32)
    _array(model.description.output.add(name="scores"), len(weights), FLOAT32)
    layer = model.neuralNetwork.layers.add(name="product", input=["x"], output=["scores"], isUpdatable=True)
    product = layer.innerProduct
    product.inputChannels, product.outputChannels = size, len(weights)
    product.weights.floatValue.extend(value for row in weights for value in row)
    product.weights.isUpdatable = True
    _write(model.neuralNetwork, training)
    return model


def _array(feature: Model, shape: int | Sequence[int], dtype: int) -> None:
    feature.type.multiArrayType.shape.extend([shape] if isinstance(shape, int) else shape)
    feature.type.multiArrayType.dataType = dtype


def _write(network: NeuralNetwork, training: Training) -> None:
    update = network.updateParams
    if training.eps is None:
        optimizer = update.optimizer.sgdOptimizer
        _double(optimizer.momentum, training.momentum, 1)
    else:
        optimizer = update.optimizer.adamOptimizer
        _double(optimizer.beta1, training.beta1, 1)
        _double(optimizer.beta2, training.beta2, 1)
        _double(optimizer.eps, training.eps, 1)
    _double(optimizer.learningRate, training.rate, 10)
    _write_int64(optimizer.miniBatchSize, training.batch)
    _write_int64(update.epochs, training.epochs)
    update.shuffle.defaultValue = training.shuffle
    if training.seed is not None:
        update.seed.defaultValue = training.seed


def _double(message: Model, value: float, most: float) -> None:
    message.defaultValue = value
    message.range.minValue, message.range.maxValue = 0.0, most


def _write_int64(message: Model, value: int) -> None:
    message.defaultValue = value
    message.set.values.append(value)
