"""Functions of each value by itself, against NumPy and SciPy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import erf

from coreml_updatable.errors import ModelError

FUNCTIONS: dict[str, tuple[Any, float, float]] = {  # NumPy's function, and the values where it is defined and tame
    "ceil": (np.ceil, -9, 9),
    "floor": (np.floor, -9, 9),
    "sign": (np.sign, -2, 2),
    "round": (np.around, -9, 9),
    "exp2": (np.exp2, -9, 9),
    "sin": (np.sin, -9, 9),
    "cos": (np.cos, -9, 9),
    "tan": (np.tan, -1.5, 1.5),
    "asin": (np.arcsin, -1, 1),
    "acos": (np.arccos, -1, 1),
    "atan": (np.arctan, -9, 9),
    "sinh": (np.sinh, -5, 5),
    "cosh": (np.cosh, -5, 5),
    "tanh": (np.tanh, -5, 5),
    "asinh": (np.arcsinh, -9, 9),
    "acosh": (np.arccosh, 1, 9),
    "atanh": (np.arctanh, -0.875, 0.875),
    "erf": (erf, -3, 3),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_equals_numpy(answers: Any, name: str, data: Any) -> None:
    function, low, high = FUNCTIONS[name]
    shape = data.draw(hnp.array_shapes(max_dims=5, max_side=3))
    values = st.floats(low, high, width=16) | st.integers(int(np.ceil(low * 2)), int(high * 2)).map(lambda n: n / 2)
    rows = [{"x": data.draw(hnp.arrays(np.float32, shape, elements=values))} for _ in range(2)]
    rank5 = len(shape) in (1, 3) and shape[1:] != (1, 1) and data.draw(st.booleans())  # it answers [C, 1, 1] as [C]
    result = answers(lambda b: getattr(b, f"add_{name}")("f", "x", "y"), rows, rank5)
    for row, answer in zip(rows, result, strict=True):
        np.testing.assert_allclose(answer["y"], function(row["x"].astype(np.float64)), rtol=1e-5, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(alpha=st.floats(-3, 3, width=32), beta=st.floats(-8, 8, width=32), shape=hnp.array_shapes(max_dims=5))
def test_clamped_relu(answers: Any, alpha: float, beta: float, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32) * 6
    actual = answers(lambda b: b.add_clamped_relu("r", "x", "y", alpha, beta), [{"x": x}, {"x": -x}])
    for sign, answer in ((1, actual[0]), (-1, actual[1])):
        expected = np.minimum(beta, np.where(sign * x >= 0, sign * x, alpha * sign * x))
        np.testing.assert_allclose(answer["y"], expected, rtol=1e-6)


def test_the_number_of_inputs(answers: Any) -> None:
    x = np.ones(3, np.float32)

    def twice(layer: Any) -> None:
        layer.input.append("x")

    with pytest.raises(ModelError, match="layer 'f': has 2 inputs, the layer expects 1; export the model again"):
        answers(lambda b: b.add_ceil("f", "x", "y"), [{"x": x}], edit=twice)
