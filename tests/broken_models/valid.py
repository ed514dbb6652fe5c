"""Models without a fault, written by coremltools' own builders; the breakers start from these."""

from functools import cache

import coremltools
import numpy as np
from coremltools.models import datatypes
from coremltools.models.nearest_neighbors import KNearestNeighborsClassifierBuilder
from coremltools.models.neural_network import AdamParams, NeuralNetworkBuilder, SgdParams
from coremltools.models.pipeline import PipelineClassifier

from coreml_updatable.spec.messages import (
    FeatureTypes_pb2,
    Model,
    Model_pb2,
    NeuralNetwork,
    NeuralNetwork_pb2,
    NeuralNetworkLayer,
)
from coreml_updatable.spec.network import network_of

LABELS = ["a", "b", "c"]
EMBEDDING = 4


def classifier() -> Model:
    """conv, relu, flatten, fc (updatable), softmax; SGD; labels a, b, c; input ``image`` [3, 8, 8]."""
    return _parse(_classifier())


def adam_classifier() -> Model:
    return _parse(_adam_classifier())


def plain() -> Model:
    """fc1, sigmoid, fc2 (updatable), tanh under a mean squared error; input ``x`` [5], output ``y``."""
    return _parse(_plain())


def regressor() -> Model:
    """The plain network as a regressor whose predicted feature is ``y``."""
    model = plain()
    result = Model_pb2.Model()
    result.CopyFrom(model)
    result.neuralNetworkRegressor.layers.extend(model.neuralNetwork.layers)
    result.neuralNetworkRegressor.updateParams.CopyFrom(model.neuralNetwork.updateParams)
    result.description.predictedFeatureName = "y"
    return result


def exact() -> Model:
    """Not updatable, exact mapping: input ``x`` [1, 3, 8, 8], conv, pool, squeeze, fc, output ``y`` [1, 2]."""
    return _parse(_exact())


def looping() -> Model:
    """Not updatable: input ``x`` [2], two loads, a loop that adds, and a copy to ``y`` as the last layer."""
    model = Model_pb2.Model(specificationVersion=4)
    for features, name in ((model.description.input, "x"), (model.description.output, "y")):
        array = features.add(name=name).type.multiArrayType
        array.shape.append(2)
        array.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    network = model.neuralNetwork
    network.arrayInputShapeMapping = NeuralNetwork_pb2.EXACT_ARRAY_MAPPING
    network.layers.add(name="start", input=["x"], output=["sum"]).copy.SetInParent()
    one = network.layers.add(name="one", output=["one"]).loadConstantND
    one.shape.append(2)
    one.data.floatValue.extend([1.0, 1.0])
    loop = network.layers.add(name="loop").loop
    loop.maxLoopIterations = 3
    body = loop.bodyNetwork
    body.arrayInputShapeMapping = NeuralNetwork_pb2.EXACT_ARRAY_MAPPING
    body.layers.add(name="add", input=["sum", "one"], output=["more"]).addBroadcastable.SetInParent()
    body.layers.add(name="keep", input=["more"], output=["sum"]).copy.SetInParent()
    network.layers.add(name="last", input=["sum"], output=["y"]).copy.SetInParent()
    return model


def nearest_neighbors() -> Model:
    """Input ``embedding`` [4], linear index, no samples, default label ``unknown``."""
    return _parse(_nearest_neighbors())


def filled_nearest_neighbors() -> Model:
    """The same with two samples."""
    return _parse(_filled())


def pipeline() -> Model:
    """An extractor (``x`` [3] -> ``embedding`` [4]) and the nearest neighbors."""
    return _parse(_pipeline())


def support_vector_classifier() -> Model:
    """Three classes a, b, c with two, one and one sparse support vectors; rbf; inputs ``x`` [2] and ``y``."""
    model = Model_pb2.Model(specificationVersion=1)
    description = model.description
    _doubles(description.input.add(name="x"), [2])
    description.input.add(name="y").type.doubleType.SetInParent()
    description.output.add(name="label").type.stringType.SetInParent()
    description.output.add(name="probabilities").type.dictionaryType.stringKeyType.SetInParent()
    description.predictedFeatureName, description.predictedProbabilitiesName = "label", "probabilities"
    machine = model.supportVectorClassifier
    machine.kernel.rbfKernel.gamma = 0.5
    machine.numberOfSupportVectorsPerClass.extend([2, 1, 1])
    for index in range(4):
        machine.sparseSupportVectors.vectors.add().nodes.add(index=index % 3 + 1, value=1.0)
    for _ in range(2):
        machine.coefficients.add().alpha.extend([1.0, 0.5, -1.0, -0.5])
    for field in (machine.rho, machine.probA, machine.probB):
        field.extend([0.1, -0.1, 0.2])
    machine.stringClassLabels.vector.extend(LABELS)
    return model


def support_vector_regressor() -> Model:
    """Two dense support vectors, linear; input ``x`` [2], output ``y``."""
    model = Model_pb2.Model(specificationVersion=1)
    _doubles(model.description.input.add(name="x"), [2])
    model.description.output.add(name="y").type.doubleType.SetInParent()
    model.description.predictedFeatureName = "y"
    machine = model.supportVectorRegressor
    machine.kernel.linearKernel.SetInParent()
    for _ in range(2):
        machine.denseSupportVectors.vectors.add().values.extend([1.0, 2.0])
    machine.coefficients.alpha.extend([1.0, -0.5])
    return model


def suppression() -> Model:
    """Per class, two labels; inputs ``raw_confidence`` and ``raw_coordinates``, ``iou``; no output shapes."""
    model = Model_pb2.Model(specificationVersion=5)
    description, nms = model.description, model.nonMaximumSuppression
    for name, columns in (("confidence", 2), ("coordinates", 4)):
        array = description.input.add(name=f"raw_{name}").type.multiArrayType
        array.dataType = FeatureTypes_pb2.ArrayFeatureType.DOUBLE
        for lower, upper in ((0, -1), (columns, columns)):
            array.shapeRange.sizeRanges.add(lowerBound=lower, upperBound=upper)
        _doubles(description.output.add(name=name), [])
        setattr(nms, f"{name}InputFeatureName", f"raw_{name}")
        setattr(nms, f"{name}OutputFeatureName", name)
    description.input.add(name="iou").type.doubleType.SetInParent()
    nms.iouThresholdInputFeatureName = "iou"
    nms.iouThreshold, nms.confidenceThreshold = 0.5, 0.2
    nms.pickTop.perClass = True
    nms.stringClassLabels.vector.extend(["cat", "dog"])
    return model


def _doubles(feature: Model, shape: list[int]) -> None:
    feature.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.DOUBLE
    feature.type.multiArrayType.shape.extend(shape)


ALL = (
    classifier,
    adam_classifier,
    plain,
    regressor,
    exact,
    looping,
    nearest_neighbors,
    filled_nearest_neighbors,
    pipeline,
    support_vector_classifier,
    support_vector_regressor,
    suppression,
)


def layer(model: Model, name: str) -> NeuralNetworkLayer:
    return next(each for each in network_of(model).layers if each.name == name)


def sgd(model: Model) -> Model:
    return network_of(model).updateParams.optimizer.sgdOptimizer


def loss(model: Model) -> Model:
    return network_of(model).updateParams.lossLayers[0]


def insert_layer(network: NeuralNetwork, number: int, added: NeuralNetworkLayer) -> None:
    layers = [*network.layers[:number], added, *network.layers[number:]]
    copies = [type(each).FromString(each.SerializeToString()) for each in layers]
    del network.layers[:]
    network.layers.extend(copies)


def _parse(content: bytes) -> Model:
    return Model_pb2.Model.FromString(content)


def _network() -> NeuralNetworkBuilder:
    random = np.random.default_rng(0)
    inputs, outputs = [("image", datatypes.Array(3, 8, 8))], [("probabilities", datatypes.Array(3))]
    builder = NeuralNetworkBuilder(inputs, outputs, mode="classifier")
    kernel = random.normal(size=(3, 3, 3, 4))
    settings = ("conv", 3, 4, 3, 3, 1, 1, "valid", 1)
    builder.add_convolution(*settings, kernel, random.normal(size=4), True, input_name="image", output_name="conv")
    builder.add_activation("relu", "RELU", "conv", "relu")
    builder.add_flatten("flatten", 0, "relu", "flatten")
    weights = random.normal(size=(3, 144))
    builder.add_inner_product("fc", weights, random.normal(size=3), 144, 3, True, "flatten", "fc")
    builder.add_softmax("softmax", "fc", "probabilities")
    builder.make_updatable(["fc"])
    builder.set_class_labels(LABELS, "label")  # before the loss: else the target becomes an array
    builder.set_categorical_cross_entropy_loss("loss", "probabilities")
    builder.set_epochs(3, [1, 2, 3])
    return builder


@cache
def _classifier() -> bytes:
    builder = _network()
    builder.set_sgd_optimizer(SgdParams(lr=0.01, batch=1, momentum=0.5))
    return bytes(builder.spec.SerializeToString())


@cache
def _adam_classifier() -> bytes:
    builder = _network()
    builder.set_adam_optimizer(AdamParams(lr=0.01, batch=1, beta1=0.9, beta2=0.999, eps=1e-8))
    return bytes(builder.spec.SerializeToString())


@cache
def _plain() -> bytes:
    random = np.random.default_rng(1)
    builder = NeuralNetworkBuilder([("x", datatypes.Array(5))], [("y", datatypes.Array(2))])
    builder.add_inner_product("fc1", random.normal(size=(4, 5)), None, 5, 4, False, "x", "fc1")
    builder.add_activation("sigmoid", "SIGMOID", "fc1", "sigmoid")
    builder.add_inner_product("fc2", random.normal(size=(2, 4)), None, 4, 2, False, "sigmoid", "fc2")
    builder.add_activation("tanh", "TANH", "fc2", "y")
    builder.make_updatable(["fc2"])
    builder.set_mean_squared_error_loss("loss", ("y", datatypes.Array(2)))
    builder.set_sgd_optimizer(SgdParams(lr=0.01, batch=1))
    builder.set_epochs(3, [1, 3])
    return bytes(builder.spec.SerializeToString())


@cache
def _exact() -> bytes:
    random = np.random.default_rng(2)
    inputs, outputs = [("x", datatypes.Array(1, 3, 8, 8))], [("y", datatypes.Array(1, 2))]
    builder = NeuralNetworkBuilder(inputs, outputs, disable_rank5_shape_mapping=True)
    kernel = random.normal(size=(3, 3, 3, 4))
    settings = ("conv", 3, 4, 3, 3, 1, 1, "valid", 1)
    builder.add_convolution(*settings, kernel, None, False, input_name="x", output_name="conv")
    builder.add_pooling("pool", 1, 1, 1, 1, "AVERAGE", "VALID", "conv", "pool", is_global=True)
    builder.add_squeeze("squeeze", "pool", "squeeze", axes=[2, 3])
    builder.add_inner_product("fc", random.normal(size=(2, 4)), None, 4, 2, False, "squeeze", "y")
    return bytes(builder.spec.SerializeToString())


def _neighbors_builder() -> KNearestNeighborsClassifierBuilder:
    return KNearestNeighborsClassifierBuilder(
        "embedding", "label", EMBEDDING, "unknown", number_of_neighbors=3, weighting_scheme="inverse_distance"
    )


@cache
def _nearest_neighbors() -> bytes:
    return bytes(_neighbors_builder().spec.SerializeToString())


@cache
def _filled() -> bytes:
    builder = _neighbors_builder()
    builder.add_samples(np.random.default_rng(3).normal(size=(2, EMBEDDING)), ["a", "b"])
    return bytes(builder.spec.SerializeToString())


@cache
def _pipeline() -> bytes:
    random = np.random.default_rng(4)
    inputs, outputs = [("x", datatypes.Array(3))], [("embedding", datatypes.Array(EMBEDDING))]
    builder = NeuralNetworkBuilder(inputs, outputs, use_float_arraytype=True)
    builder.add_inner_product("fc", random.normal(size=(EMBEDDING, 3)), None, 3, EMBEDDING, False, "x", "embedding")
    neighbors = nearest_neighbors()
    result = PipelineClassifier(inputs, LABELS, [("label", datatypes.String())])
    result.add_model(coremltools.models.MLModel(builder.spec, skip_model_load=True))
    result.add_model(coremltools.models.MLModel(neighbors, skip_model_load=True))
    spec = result.spec
    spec.description.input[0].CopyFrom(builder.spec.description.input[0])
    del spec.description.output[:]
    spec.description.output.extend(neighbors.description.output)
    spec.description.predictedFeatureName = "label"
    spec.description.trainingInput.extend([spec.description.input[0], spec.description.output[0]])
    spec.isUpdatable = True
    spec.specificationVersion = 4  # the builder leaves 1
    return bytes(spec.SerializeToString())
