"""How far answers are from each other."""

import math

import pytest

from coreml_updatable.errors import DataError
from coreml_updatable.publishing.vectors.differences import difference
from coreml_updatable.publishing.vectors.document import Array, Row
from coreml_updatable.publishing.vectors.values import answer, row_values


def said(label: str, **shares: float) -> Row:
    return {"label": label, "shares": dict(shares)}


def test_the_largest_difference_counts() -> None:
    assert difference(said("a", a=0.7, b=0.3), said("a", a=0.6, b=0.4)) == pytest.approx(0.1)
    assert difference({"y": 200.0}, {"y": 199.0}) == pytest.approx(0.005)
    assert difference({"y": 0.5}, {"y": 0.4}) == pytest.approx(0.1)
    array = Array(shape=(2,), values=(1.0, 2.0))
    assert difference({"y": array}, {"y": Array(shape=(2,), values=(1.0, 2.5))}) == pytest.approx(0.25)


def test_another_label_is_as_far_as_it_was_unlikely() -> None:
    assert difference(said("a", a=0.501, b=0.499), said("b", a=0.4995, b=0.5005)) == pytest.approx(0.002)
    assert difference(said("a", a=0.9, b=0.1), said("b", a=0.9, b=0.1)) == pytest.approx(0.8)
    assert difference({"label": "a"}, {"label": "b"}) == math.inf


def test_other_features_labels_and_shapes_are_no_answer() -> None:
    assert difference({"y": 1.0}, {"z": 1.0}) == math.inf
    assert difference(said("a", a=1.0), said("a", a=1.0, b=0.0)) == math.inf
    assert difference({"y": 1.0}, {"y": {"a": 1.0}}) == math.inf
    flat, square = Array(shape=(4,), values=(1.0,) * 4), Array(shape=(2, 2), values=(1.0,) * 4)
    assert difference({"y": flat}, {"y": square}) == math.inf


def test_arrays_go_both_ways(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import numpy as np

    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    (back,) = row_values(answer({"x": array}), tmp_path).values()
    assert (back == array).all()
    with pytest.raises(DataError, match=r"an array of 1 values has the shape \[2\]"):
        row_values({"x": Array(shape=(2,), values=(1.0,))}, tmp_path)
