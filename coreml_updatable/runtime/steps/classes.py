"""Convert class probabilities to the outputs of a classifier."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.io.arrays import expect_probabilities
from coreml_updatable.spec.messages import Model

Label: TypeAlias = str | int


def labels_of(model: Model) -> list[Label]:
    """Return the classes of a glmClassifier or treeEnsembleClassifier, in the order of its probabilities."""
    classifier = getattr(model, model.WhichOneof("Type"))
    kind = classifier.WhichOneof("ClassLabels")
    labels = list(getattr(classifier, kind).vector) if kind else []
    if len(labels) < 2:
        raise ModelError(
            f"model: is a classifier with {len(labels)} class labels, expected at least 2; export it again"
        )
    if not model.description.predictedFeatureName:
        raise ModelError("model: is a classifier without a predicted feature; export it again")
    return labels


def classified(model: Model, labels: list[Label], probabilities: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return the answers for probabilities [n, C]; if they are equal, the first class wins."""
    description = model.description
    answers = []
    for index, shares in enumerate(probabilities):
        expect_probabilities(shares, f"row {index}")
        answer: dict[str, Any] = {description.predictedFeatureName: labels[int(shares.argmax())]}
        if description.predictedProbabilitiesName:
            answer[description.predictedProbabilitiesName] = dict(zip(labels, shares.tolist(), strict=True))
        answers.append(answer)
    return answers


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the softmax over the last axis of [n, C]."""
    exponentials: NDArray[np.float64] = np.exp(scores - scores.max(1, keepdims=True))
    shares: NDArray[np.float64] = exponentials / exponentials.sum(1, keepdims=True)
    return shares


def logistic(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + e^-x), without overflow."""
    small: NDArray[np.float64] = np.exp(-np.abs(scores))
    shares: NDArray[np.float64] = np.where(scores >= 0, 1 / (1 + small), small / (1 + small))
    return shares


def shares_of_two(second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [n, 2] from the probability [n, 1] of the second class."""
    return np.concatenate([1 - second, second], 1)
