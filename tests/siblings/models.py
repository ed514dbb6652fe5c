"""Updatable networks of every kind that siblings are made of, written by coremltools' own builders."""

import numpy as np
from coremltools.models import datatypes
from coremltools.models.neural_network import AdamParams, NeuralNetworkBuilder, SgdParams

from coreml_updatable.spec.messages import Model, Model_pb2
from tests.broken_models.valid import adam_classifier, classifier, plain

LABELS = ["cat", "dog", "owl"]


def sgd() -> Model:
    """One trained layer behind a convolution; mini-batches of 1."""
    model = classifier()
    model.neuralNetworkClassifier.updateParams.optimizer.sgdOptimizer.momentum.defaultValue = 0.0
    return model


def with_momentum() -> Model:
    return classifier()


def adam() -> Model:
    return adam_classifier()


def squared_error() -> Model:
    return plain()


def pictures() -> Model:
    """Pictures, scaled with a bias; a trained convolution, pooling and two trained products; mini-batches of 4."""
    return _parse(_pictures(SgdParams(lr=0.05, batch=4, momentum=0.0)))


def dense_layers() -> Model:
    """The same with two trained products behind the convolutions, which stay as they are."""
    model = pictures()
    (layer,) = (item for item in model.neuralNetworkClassifier.layers if item.name == "conv2")
    layer.isUpdatable = layer.convolution.weights.isUpdatable = layer.convolution.bias.isUpdatable = False
    return model


def pictures_with_adam() -> Model:
    return _parse(_pictures(AdamParams(lr=0.002, batch=4, beta1=0.8, beta2=0.99, eps=1e-6)))


def sequence() -> Model:
    """A recurrent layer before the trained one, whose state is a constant for every row."""
    random = np.random.default_rng(3)
    builder = NeuralNetworkBuilder([("x", datatypes.Array(4))], [("p", datatypes.Array(3))], mode="classifier")
    builder.add_unilstm(
        "lstm",
        [random.normal(size=(6, 6)) * 0.3 for _ in range(4)],
        [random.normal(size=(6, 4)) for _ in range(4)],
        [random.normal(size=6) for _ in range(4)],
        6, 4, ["x"], ["lstm"],
    )  # fmt: skip
    builder.add_inner_product("fc", random.normal(size=(3, 6)), random.normal(size=3), 6, 3, True, "lstm", "fc")
    return _parse(_trained(builder, ["fc"], SgdParams(lr=0.1, batch=2, momentum=0.0)))


def _pictures(optimizer: SgdParams | AdamParams) -> NeuralNetworkBuilder:
    random = np.random.default_rng(2)
    inputs, outputs = [("image", datatypes.Array(3, 12, 10))], [("p", datatypes.Array(3))]
    builder = NeuralNetworkBuilder(inputs, outputs, mode="classifier")
    sizes = (("conv1", 3, 4, "image"), ("conv2", 4, 6, "relu1"))
    for index, (name, before, after, source) in enumerate(sizes, 1):
        kernel = random.normal(size=(3, 3, before, after)) * 0.3
        settings = (name, before, after, 3, 3, 1, 1, "same", 1)
        builder.add_convolution(*settings, kernel, random.normal(size=after), True, input_name=source, output_name=name)
        builder.add_activation(f"relu{index}", "RELU", name, f"relu{index}")
    builder.add_pooling("pool", 2, 2, 2, 2, "MAX", "VALID", "relu2", "pool")
    builder.add_flatten("flatten", 0, "pool", "flatten")
    builder.add_inner_product("fc1", random.normal(size=(8, 180)) * 0.1, np.zeros(8), 180, 8, True, "flatten", "fc1")
    builder.add_activation("relu3", "RELU", "fc1", "relu3")
    builder.add_inner_product("fc2", random.normal(size=(3, 8)), random.normal(size=3), 8, 3, True, "relu3", "fc2")
    builder.set_pre_processing_parameters(
        ["image"], red_bias=-0.5, green_bias=-0.4, blue_bias=-0.3, image_scale=1 / 255
    )
    return _trained(builder, ["conv2", "fc1", "fc2"], optimizer)


def _trained(
    builder: NeuralNetworkBuilder, layers: list[str], optimizer: SgdParams | AdamParams
) -> NeuralNetworkBuilder:
    last = builder.spec.neuralNetworkClassifier.layers[-1].output[0]
    builder.add_softmax("softmax", last, "p")
    builder.make_updatable(layers)
    builder.set_class_labels(LABELS, "label")
    builder.set_categorical_cross_entropy_loss("loss", "p")
    if isinstance(optimizer, SgdParams):
        builder.set_sgd_optimizer(optimizer)
    else:
        builder.set_adam_optimizer(optimizer)
    builder.set_epochs(2)
    return builder


def _parse(builder: NeuralNetworkBuilder) -> Model:
    return Model_pb2.Model.FromString(builder.spec.SerializeToString())


ALL = (sgd, adam, squared_error, pictures, pictures_with_adam, sequence)
