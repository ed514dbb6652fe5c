"""glmRegressor: y = f(W x + b), f the identity, the logistic function or the normal distribution. ``GLMRegressor``.

x [D] is all inputs one after another. One row of weights gives a number, more give an array.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.classes import logistic
from coreml_updatable.runtime.steps.interface import expect_numbers, expect_width, matrix
from coreml_updatable.runtime.steps.linear import normal, weights_of
from coreml_updatable.spec.messages import Model

TRANSFORMS = {0: lambda scores: scores, 1: logistic, 2: normal}  # GLMRegressor.PostEvaluationTransform


def build(model: Model) -> Run:
    weights, offset = weights_of(model)
    name = str(model.description.predictedFeatureName)
    transform = TRANSFORMS.get(model.glmRegressor.postEvaluationTransform)
    if not name or transform is None:
        raise ModelError("model: a glmRegressor without a predicted feature or a known transform; export it again")

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        x = matrix(model, rows)
        expect_width(x, weights.shape[1], model)
        expect_numbers(x)
        return [{name: y if len(y) > 1 else float(y[0])} for y in transform(x @ weights.T + offset)] if len(x) else []

    return run
