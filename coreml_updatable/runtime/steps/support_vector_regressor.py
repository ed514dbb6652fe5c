"""supportVectorRegressor: y = sum of alpha_i K(v_i, x) - rho. ``SupportVectorRegressor``; epsilon-SVR and nu-SVR alike.

x [D] is all inputs one after another. The kernels K are in support_vectors.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.interface import expect_numbers, matrix
from coreml_updatable.runtime.steps.support_vectors import expect_finite, kernel_of
from coreml_updatable.spec.messages import Model


def build(model: Model) -> Run:
    machine = model.supportVectorRegressor
    kernel, count = kernel_of(machine)
    alphas, rho = np.array(machine.coefficients.alpha, np.float64), float(machine.rho)
    name = str(model.description.predictedFeatureName)
    if not name:
        raise ModelError("model: a supportVectorRegressor that names no predicted feature; export the model again")
    if len(alphas) != count:
        raise ModelError(f"model: {len(alphas)} coefficients for {count} support vectors; export the model again")

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        x = matrix(model, rows)
        expect_numbers(x)
        answers = []
        for number, row in enumerate(x):
            y = kernel(row) @ alphas - rho
            expect_finite(y, number)
            answers.append({name: float(y)})
        return answers

    return run
