"""Comparisons, logic, the rest of division, and choice: two or three inputs broadcast, against NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coreml_updatable.errors import ModelError

Add = Callable[[Any, list[str], dict[str, float]], None]
COMPARISONS: dict[str, tuple[Any, Add]] = {
    "equal": (np.equal, lambda b, names, rest: b.add_equal("c", names, "y", **rest)),
    "notEqual": (np.not_equal, lambda b, names, rest: b.add_not_equal("c", names, "y", **rest)),
    "lessThan": (np.less, lambda b, names, rest: b.add_less_than("c", names, "y", **rest)),
    "lessEqual": (np.less_equal, lambda b, names, rest: b.add_less_than("c", names, "y", True, **rest)),
    "greaterThan": (np.greater, lambda b, names, rest: b.add_greater_than("c", names, "y", **rest)),
    "greaterEqual": (np.greater_equal, lambda b, names, rest: b.add_greater_than("c", names, "y", True, **rest)),
}
PAIRS: dict[str, tuple[Any, Callable[[Any], None]]] = {
    "logicalAnd": (np.logical_and, lambda b: b.add_logical("l", ["a", "b"], "y", "AND")),
    "logicalOr": (np.logical_or, lambda b: b.add_logical("l", ["a", "b"], "y", "OR")),
    "logicalXor": (np.logical_xor, lambda b: b.add_logical("l", ["a", "b"], "y", "XOR")),
    "modBroadcastable": (np.mod, lambda b: b.add_mod_broadcastable("m", ["a", "b"], "y")),
    "floorDivBroadcastable": (np.floor_divide, lambda b: b.add_floor_div_broadcastable("d", ["a", "b"], "y")),
}
SMALL = st.integers(-4, 4).map(lambda index: index / 2)
NOT_ZERO = SMALL.filter(bool)
SHAPES = hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=1, max_dims=5, max_side=3)
TRIPLES = hnp.mutually_broadcastable_shapes(num_shapes=3, min_dims=1, max_dims=5, max_side=3)


def arrays(shape: tuple[int, ...], elements: Any = SMALL) -> Any:
    return hnp.arrays(np.float32, shape, elements=elements)


@pytest.mark.parametrize("kind", COMPARISONS)
@settings(max_examples=6, deadline=None)
@given(data=st.data(), shapes=SHAPES)
def test_comparison(answers: Any, kind: str, data: Any, shapes: Any) -> None:
    function, add = COMPARISONS[kind]
    first, second = shapes.input_shapes
    rows = [{"a": data.draw(arrays(first)), "b": data.draw(arrays(second))} for _ in range(2)]
    result = answers(lambda b: add(b, ["a", "b"], {}), rows)
    for row, answer in zip(rows, result, strict=True):
        np.testing.assert_array_equal(answer["y"], function(row["a"], row["b"]).astype(np.float32))


@pytest.mark.parametrize("kind", COMPARISONS)
@settings(max_examples=6, deadline=None)
@given(data=st.data(), shape=hnp.array_shapes(max_dims=5, max_side=3), alpha=SMALL)
def test_comparison_with_a_number(answers: Any, kind: str, data: Any, shape: Any, alpha: float) -> None:
    function, add = COMPARISONS[kind]
    rows = [{"a": data.draw(arrays(shape))} for _ in range(2)]
    for row, answer in zip(rows, answers(lambda b: add(b, ["a"], {"alpha": alpha}), rows), strict=True):
        np.testing.assert_array_equal(answer["y"], function(row["a"], alpha).astype(np.float32))


def test_comparison_in_rank_5(answers: Any) -> None:
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    result = answers(lambda b: b.add_less_than("c", ["a"], "y", alpha=4.0), [{"a": x}, {"a": -x}], rank5=True)
    np.testing.assert_array_equal(result[0]["y"], x < 4)
    np.testing.assert_array_equal(result[1]["y"], -x < 4)


@pytest.mark.parametrize("kind", PAIRS)
@settings(max_examples=6, deadline=None)
@given(data=st.data(), shapes=SHAPES)
def test_pair(answers: Any, kind: str, data: Any, shapes: Any) -> None:
    function, add = PAIRS[kind]
    first, second = shapes.input_shapes
    divisor = SMALL if kind.startswith("logical") else NOT_ZERO
    rows = [{"a": data.draw(arrays(first)), "b": data.draw(arrays(second, divisor))} for _ in range(2)]
    for row, answer in zip(rows, answers(add, rows), strict=True):
        np.testing.assert_allclose(answer["y"], function(row["a"], row["b"]).astype(np.float32))


@settings(max_examples=6, deadline=None)
@given(data=st.data(), shape=hnp.array_shapes(max_dims=5, max_side=3))
def test_not(answers: Any, data: Any, shape: Any) -> None:
    rows = [{"a": data.draw(arrays(shape))} for _ in range(2)]
    result = answers(lambda b: b.add_logical("l", ["a"], "y", "NOT"), rows)
    for row, answer in zip(rows, result, strict=True):
        np.testing.assert_array_equal(answer["y"], np.logical_not(row["a"]).astype(np.float32))


@settings(max_examples=15, deadline=None)
@given(data=st.data(), shapes=TRIPLES)
def test_where(answers: Any, data: Any, shapes: Any) -> None:
    names = ("c", "a", "b")
    rows = [
        {name: data.draw(arrays(shape)) for name, shape in zip(names, shapes.input_shapes, strict=True)}
        for _ in range(2)
    ]
    result = answers(lambda b: b.add_where_broadcastable("w", list(names), "y"), rows)
    for row, answer in zip(rows, result, strict=True):
        np.testing.assert_array_equal(answer["y"], np.where(row["c"], row["a"], row["b"]))


def test_errors(answers: Any) -> None:
    row = {"a": np.ones(2, np.float32), "b": np.ones(3, np.float32)}
    with pytest.raises(ModelError, match=r"layer 'c': cannot take 'a' \[2\], 'b' \[3\] \(.*size.*\)"):
        answers(lambda b: b.add_equal("c", ["a", "b"], "y"), [row])
    with pytest.raises(ModelError, match="layer 'w': has 2 inputs, the layer expects 3; export the model again"):
        answers(lambda b: b.add_where_broadcastable("w", ["a", "b"], "y"), [row])
    with pytest.raises(ModelError, match="layer 'l': has 1 inputs, the layer expects 2"):
        answers(lambda b: b.add_logical("l", ["a", "b"], "y", "OR"), [row], edit=lambda layer: layer.input.pop())
    with pytest.raises(ModelError, match="layer 'c': has 3 inputs, the layer expects 1 to 2"):
        answers(lambda b: b.add_less_than("c", ["a", "b", "a"], "y"), [row])
    with pytest.raises(ModelError, match="layer 'm': has 1 inputs, the layer expects 2"):
        answers(lambda b: b.add_mod_broadcastable("m", ["a"], "y"), [row])
