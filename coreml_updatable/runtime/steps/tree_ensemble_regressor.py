"""treeEnsembleRegressor: the ensemble's sums, or the logistic function of them. ``TreeEnsembleRegressor``.

x [D] is all inputs one after another. One dimension gives a number, more give an array.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.classes import logistic
from coreml_updatable.runtime.steps.interface import matrix
from coreml_updatable.runtime.steps.trees import Trees
from coreml_updatable.spec.messages import Model

TRANSFORMS = {0: lambda sums: sums, 2: logistic}  # NoTransform, Regression_Logistic


def build(model: Model) -> Run:
    trees = Trees(model.treeEnsembleRegressor.treeEnsemble)
    name = str(model.description.predictedFeatureName)
    transform = TRANSFORMS.get(model.treeEnsembleRegressor.postEvaluationTransform)
    if not name or transform is None:
        raise ModelError("model: a tree regressor without a predicted feature, or with a softmax; export it again")

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        x = matrix(model, rows)
        trees.expect_width(x)
        return [{name: y if len(y) > 1 else float(y[0])} for y in transform(trees(x))] if len(x) else []

    return run
