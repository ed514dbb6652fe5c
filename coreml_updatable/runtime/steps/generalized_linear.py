"""Generalized linear models: functions of the scores W x + b.

glmClassifier: class probabilities from the scores z = W x + b. With two classes and one row of weights, the second
class has the probability f(z), where f is the logistic function or the normal distribution (probit). ReferenceClass has
C - 1 rows, and the first class is the reference: softmax of [0, z]. OneVsRest has C rows: f(z) divided by its sum. The
format names these encodings but gives no formulas; these formulas are those of the exporters (Turi Create's multinomial
regression, scikit-learn's one-vs-rest).

glmRegressor: y = f(W x + b), where f is the identity, the logistic function or the normal distribution. x [D] is the
concatenation of all inputs. One row of weights gives a number, several give an array.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.steps import RunStep
from coreml_updatable.runtime.steps.classes import classified, labels_of, logistic, shares_of_two, softmax
from coreml_updatable.runtime.steps.interface import expect_numbers, expect_width, matrix
from coreml_updatable.spec.messages import Model


def weights_of(model: Model) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return W [K, D] and b [K]; ModelError if the rows differ in length, or there are not as many offsets."""
    linear = getattr(model, model.WhichOneof("Type"))
    rows = [np.array(row.value, np.float64) for row in linear.weights]
    offset = np.array(linear.offset, np.float64)
    if not rows or len({len(row) for row in rows}) > 1 or not len(rows[0]):
        lengths = ", ".join(str(len(row)) for row in rows[:8]) or "none"
        raise ModelError(
            f"model: has rows of weights of the lengths {lengths}, expected at least one row, all of equal length; "
            "export it again"
        )
    if len(offset) not in (0, len(rows)):
        raise ModelError(
            f"model: has {len(rows)} rows of weights and {len(offset)} offsets, expected equal numbers; export the "
            "model again"
        )
    return np.stack(rows), offset if len(offset) else np.zeros(len(rows))


def normal(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard normal distribution, (1 + erf(x / sqrt 2)) / 2: the inverse of the probit."""
    return np.array([0.5 * math.erfc(-score / math.sqrt(2)) for score in scores.ravel()]).reshape(scores.shape)


REFERENCE_CLASS, PROBIT = 0, 1


def glm_classifier(model: Model) -> RunStep:
    weights, offset = weights_of(model)
    labels = labels_of(model)
    classifier = model.glmClassifier
    probit = classifier.postEvaluationTransform == PROBIT
    reference = classifier.classEncoding == REFERENCE_CLASS
    binary = len(labels) == 2 and len(weights) == 1
    if not binary and len(weights) != len(labels) - reference:
        raise ModelError(
            f"model: has {len(weights)} rows of weights for {len(labels)} classes, expected "
            f"{len(labels) - reference}; export the model again"
        )
    if probit and not binary:
        raise ModelError(
            "model: is a probit with more than two classes, which the format does not allow; export it again"
        )

    def shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if binary:
            return shares_of_two(normal(scores) if probit else logistic(scores))
        if reference:
            return softmax(np.concatenate([np.zeros((len(scores), 1)), scores], 1))
        votes = logistic(scores)
        totals = votes.sum(1, keepdims=True)
        # Where all are 0 their ratio still is not: far below 0 the logistic function is e^z.
        return np.where(totals > 0, votes / np.where(totals > 0, totals, 1), softmax(scores))

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        x = matrix(model, rows)
        expect_width(x, weights.shape[1], model)
        expect_numbers(x)
        return classified(model, labels, shares(x @ weights.T + offset)) if len(x) else []

    return run


TRANSFORMS = {0: lambda scores: scores, 1: logistic, 2: normal}  # GLMRegressor.PostEvaluationTransform


def glm_regressor(model: Model) -> RunStep:
    weights, offset = weights_of(model)
    name = str(model.description.predictedFeatureName)
    transform = TRANSFORMS.get(model.glmRegressor.postEvaluationTransform)
    if not name or transform is None:
        raise ModelError(
            "model: is a glmRegressor without a predicted feature or with an unknown transform; export it again"
        )

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        x = matrix(model, rows)
        expect_width(x, weights.shape[1], model)
        expect_numbers(x)
        return [{name: y if len(y) > 1 else float(y[0])} for y in transform(x @ weights.T + offset)] if len(x) else []

    return run
