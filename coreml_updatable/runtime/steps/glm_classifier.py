"""glmClassifier: class probabilities from the scores z = W x + b. ``GLMClassifier``.

Two classes with one row of weights: the second has f(z), f the logistic function or the normal distribution (probit).
ReferenceClass: C - 1 rows, the first class is the reference: softmax of [0, z]. OneVsRest: C rows, f(z) divided by its
sum. The format names the encodings and gives no formulas: these are those of the exporters (Turi Create's multinomial
regression, scikit-learn's one-vs-rest).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.classes import classified, labels_of, logistic, softmax, two_classes
from coreml_updatable.runtime.steps.interface import expect_numbers, expect_width, matrix
from coreml_updatable.runtime.steps.linear import normal, weights_of
from coreml_updatable.spec.messages import Model

REFERENCE_CLASS, PROBIT = 0, 1


def build(model: Model) -> Run:
    weights, offset = weights_of(model)
    labels = labels_of(model)
    classifier = model.glmClassifier
    probit = classifier.postEvaluationTransform == PROBIT
    reference = classifier.classEncoding == REFERENCE_CLASS
    binary = len(labels) == 2 and len(weights) == 1
    if not binary and len(weights) != len(labels) - reference:
        raise ModelError(
            f"model: {len(weights)} rows of weights for {len(labels)} classes, expected {len(labels) - reference}; "
            "export the model again"
        )
    if probit and not binary:
        raise ModelError("model: a probit of more than two classes, which the format does not have; export it again")

    def shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if binary:
            return two_classes(normal(scores) if probit else logistic(scores))
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
