"""Linear classifiers and multi-layer perceptrons as layers of a network."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.errors import SourceError, a_kind
from coreml_updatable.spec.messages import Model

from .._shared.core_ml_layers import NetworkText
from .linear import Linear, numbers
from .steps import KNOWN, feature_count

ACTIVATIONS = {"relu": "ReLU", "tanh": "tanh", "logistic": "sigmoid"}


def network_of(classifier: Any, linear: Sequence[Linear], name: str, labels: Sequence[str] | Sequence[int]) -> Model:
    """Return a ``neuralNetwork`` from ``name`` to the classifier's ``predict_proba``."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.neural_network import MLPClassifier

    if len(labels) < 2:
        raise SourceError(f"source: has {len(labels)} class, expected two or more; fit it on data with several labels")
    network = NetworkText(name, linear[0].features if linear else feature_count(classifier))
    write_linear(network, linear)
    add: Callable[[NetworkText, Any, int], None]
    if isinstance(classifier, LogisticRegression | LinearDiscriminantAnalysis):
        add = _logistic
    elif isinstance(classifier, SGDClassifier):
        add = _descended
    elif isinstance(classifier, MLPClassifier):
        add = _perceptron
    else:
        raise SourceError(f"source: is {a_kind(classifier)}, expected a fitted {KNOWN}")
    add(network, classifier, len(labels))
    return network.probabilities("probabilities" if name != "probabilities" else "probabilities_", len(labels))


def write_linear(network: NetworkText, linear: Sequence[Linear]) -> None:
    for index, step in enumerate(linear, 1):
        if step.center is not None:
            network.shift(f"mean{index}", -step.center)
        if step.weights.ndim == 2:
            offset = np.zeros(len(step.weights)) if step.offset is None else step.offset
            network.dense(f"projection{index}", step.weights, offset)
            continue
        if (step.weights != 1).any():
            network.scale(f"deviation{index}", step.weights)
        if step.offset is not None:
            network.shift(f"offset{index}", step.offset)


def _logistic(network: NetworkText, classifier: Any, classes: int) -> None:
    network.dense("linear", *_for_softmax(*_linear(classifier, classes), classes))


def _linear(classifier: Any, classes: int) -> tuple[Float64Array, Float64Array]:
    """Return weights [rows, features] and biases [rows]: one row per class, and one row for two classes."""
    rows = 1 if classes == 2 else classes
    weights = numbers(classifier.coef_, (rows, feature_count(classifier)), "coef_")
    return weights, numbers(np.broadcast_to(classifier.intercept_, (rows,)), (rows,), "intercept_")


def _descended(network: NetworkText, classifier: Any, classes: int) -> None:
    """Write several classes as one against the rest: sigmoids divided by their sum.

    That is softmax(log sigmoid(z)), and log sigmoid(z) = -softplus(-z). No gradient goes through softplus on a device,
    so the minus sign is a separate layer, which is the updatable one.
    """
    if classifier.loss != "log_loss":
        raise SourceError(
            f"source: SGDClassifier with the loss {classifier.loss!r} has no probabilities that a network can "
            "compute; fit it with loss='log_loss'"
        )
    if classes == 2:
        _logistic(network, classifier, classes)
        return
    weights, bias = _linear(classifier, classes)
    network.dense("one_against_rest", -weights, -bias)
    network.activation("softplus", "softplus")
    network.dense("linear", -np.eye(classes), np.zeros(classes))


def _perceptron(network: NetworkText, classifier: Any, classes: int) -> None:
    if classifier.n_outputs_ != (1 if classes == 2 else classes):
        raise SourceError(
            "source: the MLPClassifier predicts several labels at once, expected one; fit it with one label per row"
        )
    last, width = len(classifier.coefs_) - 1, feature_count(classifier)
    for index, (given, bias) in enumerate(zip(classifier.coefs_, classifier.intercepts_, strict=True)):
        outputs = (1 if classes == 2 else classes) if index == last else len(bias)
        weights = numbers(given, (width, outputs), f"coefs_[{index}]").T
        bias = numbers(bias, (outputs,), f"intercepts_[{index}]")
        if index == last:
            network.dense("linear", *_for_softmax(weights, bias, classes))
            return
        network.dense(f"hidden{index + 1}", weights, bias)
        if classifier.activation != "identity":
            network.activation(f"activation{index + 1}", ACTIVATIONS[classifier.activation])
        width = outputs


def _for_softmax(weights: Float64Array, bias: Float64Array, classes: int) -> tuple[Float64Array, Float64Array]:
    """Write two classes with one row z as softmax((-z / 2, z / 2)), which equals sigmoid(z); halving is exact."""
    if classes == 2 and len(weights) == 1:
        return np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return weights, bias
