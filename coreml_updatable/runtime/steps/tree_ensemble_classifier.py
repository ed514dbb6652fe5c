"""treeEnsembleClassifier: class probabilities from the ensemble's sums v. ``TreeEnsembleClassifier``.

NoTransform v; Classification_SoftMax softmax(v); Regression_Logistic 1 / (1 + e^-v);
Classification_SoftMaxWithZeroClassReference softmax of [0, v]. Of two classes with one dimension it is the second's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.classes import classified, labels_of, logistic, softmax, two_classes
from coreml_updatable.runtime.steps.interface import matrix
from coreml_updatable.runtime.steps.trees import Trees
from coreml_updatable.spec.messages import Model

NO_TRANSFORM, SOFTMAX, LOGISTIC, ZERO_REFERENCE = range(4)


def build(model: Model) -> Run:
    trees = Trees(model.treeEnsembleClassifier.treeEnsemble)
    labels = labels_of(model)
    transform = model.treeEnsembleClassifier.postEvaluationTransform
    single = trees.dimensions == 1 and len(labels) == 2 and transform in (NO_TRANSFORM, LOGISTIC)
    expected = len(labels) - (transform == ZERO_REFERENCE)
    if transform not in range(4) or not (single or trees.dimensions == expected):
        raise ModelError(
            f"model: {trees.dimensions} prediction dimensions for {len(labels)} classes, expected {expected}; "
            "export the model again"
        )

    def shares(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        if transform == ZERO_REFERENCE:
            return softmax(np.concatenate([np.zeros((len(sums), 1)), sums], 1))
        made = {NO_TRANSFORM: lambda v: v, SOFTMAX: softmax, LOGISTIC: logistic}[transform](sums)
        return two_classes(made) if single else made

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        x = matrix(model, rows)
        trees.expect_width(x)
        return classified(model, labels, shares(trees(x))) if len(x) else []

    return run
