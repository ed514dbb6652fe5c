"""Networks as the threads describe them: torch modules, and what the converters of their day wrote."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import coremltools as ct
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder, SgdParams

import coreml_updatable as cu

LABELS = ["a", "b", "c"]
jit: Any = torch.jit  # untyped
Module = TypeVar("Module", bound=nn.Module)


def seeded(module: Module) -> Module:
    """Weights large enough to tell the classes apart, the same in every run."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weights in module.parameters():
            weights.normal_(0, 0.5)
    return module.eval()


def converted(module: nn.Module, *shape: int, labels: Sequence[str] = LABELS, image: bool = False) -> Any:
    """What coremltools makes of a torch module for a network that can be trained, with x [shape] as its input."""
    kind = ct.ImageType if image else ct.TensorType
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return ct.convert(
            jit.trace(module.eval(), torch.zeros(shape)),
            convert_to="neuralnetwork",
            inputs=[kind(name="x", shape=shape)],
            classifier_config=ct.ClassifierConfig(list(labels)) if labels else None,
        ).get_spec()


def save_traced(module: nn.Module, path: Path) -> None:
    """Write ``module``, of vectors of 4, as TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jit.trace(module, torch.zeros(1, 4)).save(str(path))


def tf2_classifier(labels: Sequence[str] = LABELS) -> Any:
    """What the TensorFlow 2 converter writes of Conv2D, Flatten, Dense, Dense: products with a stored matrix."""
    random = np.random.default_rng(0)
    builder = NeuralNetworkBuilder(
        [("image", datatypes.Array(1, 8, 8, 1))],
        [("Identity", datatypes.Array(1, len(labels)))],
        mode="classifier",
        disable_rank5_shape_mapping=True,
    )
    kernel = random.normal(0, 0.5, (3, 3, 1, 4)).astype(np.float32)
    builder.add_transpose("to_nchw", (0, 3, 1, 2), "image", "nchw")
    builder.add_convolution(
        "sequential/conv2d", 1, 4, 3, 3, 1, 1, "valid", 1, kernel, random.normal(size=4), True, False, None, "nchw", "c"
    )
    builder.add_activation("sequential/conv2d/Relu", "RELU", "c", "r")
    builder.add_transpose("to_nhwc", (0, 2, 3, 1), "r", "nhwc")
    builder.add_reshape_static("sequential/flatten/Reshape", "nhwc", "flat", [1, 144])
    _product(builder, random, "sequential/dense", "flat", 144, 6)
    builder.add_activation("sequential/dense/Relu", "RELU", "sequential/dense/MatMul", "d")
    _product(builder, random, "sequential/dense_1", "d", 6, len(labels))
    builder.add_softmax_nd("Identity", "sequential/dense_1/MatMul", "Identity", -1)
    builder.set_class_labels(list(labels), "classLabel", "Identity")
    return builder.spec


def _product(builder: Any, random: Any, name: str, source: str, inputs: int, outputs: int) -> None:
    builder.add_batched_mat_mul(
        f"{name}/MatMul",
        [source],
        f"{name}/MatMul",
        weight_matrix_rows=inputs,
        weight_matrix_columns=outputs,
        W=random.normal(0, 0.3, (inputs, outputs)).astype(np.float32),
        bias=random.normal(0, 0.3, outputs).astype(np.float32),
    )


def tf2_answers(model: Any, pictures: Any) -> Any:
    """The probabilities of ``tf2_classifier``, computed by torch from its stored numbers."""
    stored = {layer.name: layer for layer in model.neuralNetworkClassifier.layers}

    def numbers(field: Any, *shape: int) -> Tensor:
        return torch.tensor(list(field.floatValue), dtype=torch.float64).reshape(shape)

    convolution = stored["sequential/conv2d"].convolution
    values = torch.from_numpy(pictures).double().permute(0, 3, 1, 2)
    kernel = numbers(convolution.weights, 4, 1, 3, 3)
    values = nn.functional.conv2d(values, kernel, numbers(convolution.bias, 4)).relu()
    values = values.permute(0, 2, 3, 1).flatten(1)
    for name, relu in (("sequential/dense/MatMul", True), ("sequential/dense_1/MatMul", False)):
        product = stored[name].batchedMatmul
        rows, columns = int(product.weightMatrixFirstDimension), int(product.weightMatrixSecondDimension)
        weights = numbers(product.weights, columns, rows)  # a column after the other
        values = values @ weights.T + numbers(product.bias, columns)
        values = values.relu() if relu else values
    return values.softmax(1).numpy()


def dense_network(
    *layers: tuple[int, str | None], inputs: int = 4, labels: Sequence[str] = LABELS, batchnorm: bool = False
) -> Any:
    """Dense layers in the old way, as the Keras converter wrote them: dense_0, dense_1, ..., each with an activation.

    With ``labels`` a classifier that ends in softmax, else a plain network that answers "y".
    """
    random, last = np.random.default_rng(0), len(layers) - 1
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(inputs))],
        [("y", datatypes.Array(layers[-1][0]))],
        mode="classifier" if labels else None,
    )
    blob, size = "x", inputs
    for index, (units, activation) in enumerate(layers):
        end = "y" if index == last else f"d{index}"
        ends = labels and index == last
        name, result = f"dense_{index}", f"z{index}" if activation or ends else end
        builder.add_inner_product(
            name, random.normal(0, 0.5, (units, size)), random.normal(0, 0.2, units), size, units, True, blob, result
        )
        if batchnorm and index != last:
            gamma, variance = random.uniform(0.5, 2, units), random.uniform(0.5, 2, units)
            mean, beta = random.normal(size=units), random.normal(size=units)
            builder.add_batchnorm(f"bn_{index}", units, gamma, beta, mean, variance, result, f"n{index}")
            result = f"n{index}"
        if activation:
            builder.add_activation(f"{name}__activation__", activation, result, end)
        elif ends:
            builder.add_softmax(f"{name}__activation__", result, end)
        blob, size = end, units
    if labels:
        builder.set_class_labels(list(labels), "label", "y")
    return builder


def updatable(builder: Any, *layers: str, lr: float = 0.05, batch: int = 2, epochs: int = 5) -> Any:
    """As the documentation of coremltools says it: make_updatable, the loss, SGD and the epochs."""
    builder.make_updatable(list(layers))
    if builder.spec.WhichOneof("Type") == "neuralNetworkClassifier":
        builder.set_categorical_cross_entropy_loss("lossLayer", "y")
    else:
        shape = builder.spec.description.output[0].type.multiArrayType.shape
        builder.set_mean_squared_error_loss("lossLayer", ("y", datatypes.Array(*shape)))
    builder.set_sgd_optimizer(SgdParams(lr=lr, batch=batch))
    builder.set_epochs(epochs, [1, epochs, 20, 50])
    size = builder.nn_spec.updateParams.optimizer.sgdOptimizer.miniBatchSize
    size.set.values[:] = sorted({1, batch, 8})  # an app may have a single row
    return builder.spec


def quantized(model: Any, bits: int) -> Any:
    """``model`` with its weights in 16 bits or fewer, as coremltools writes them."""
    from coremltools.models.neural_network.quantization_utils import quantize_weights

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        smaller = quantize_weights(ct.models.MLModel(model, skip_model_load=True), bits)
    return getattr(smaller, "get_spec", lambda: smaller)()


def probabilities(model: Any, rows: Sequence[dict[str, Any]]) -> Any:
    """[rows, classes]: what a classifier says, in the order of its labels."""
    loaded = cu.load(model)
    name = str(loaded.message.description.predictedProbabilitiesName)
    if name:
        return np.array([list(answer[name].values()) for answer in loaded.predict(list(rows))])
    return np.array([np.ravel(answer["y"]) for answer in loaded.predict(list(rows))])


def rules(model: Any, severity: str | None = None) -> set[str]:
    """The rules of ``check`` that a model breaks."""
    return {problem.rule for problem in cu.check(model) if severity in (None, problem.severity)}


def learns(model: Any, rows: Sequence[dict[str, Any]], target: str, labels: Sequence[Any], **parameters: Any) -> Any:
    """One update on ``rows``, labeled in turn, makes the labels more probable. Returns the new model."""
    result = [{**row, target: labels[index % len(labels)]} for index, row in enumerate(rows)]
    after = cu.UpdateTask(model, result, parameters={"epochs": 20, "learningRate": 0.05, **parameters}).resume().model
    wanted = np.arange(len(rows)), np.arange(len(rows)) % len(labels)
    losses = [-np.log(probabilities(item, rows)[wanted]).mean() for item in (model, after)]
    assert losses[1] < losses[0], losses
    return after
