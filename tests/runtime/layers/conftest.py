"""One layer written by coremltools, run for several rows at once and for each alone."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

from coreml_updatable.runtime import load
from coreml_updatable.runtime.engine import batched, fast

Array: TypeAlias = NDArray[Any]
AnswersOf: TypeAlias = Callable[..., list[dict[str, Array]]]


def _answers(
    add: Callable[[Any], None],
    rows: Sequence[dict[str, Array]],
    rank5: bool = False,
    outputs: Sequence[str] = ("y",),
    edit: Callable[[Any], None] | None = None,
) -> list[dict[str, Array]]:
    described = [(name, datatypes.Array(*np.shape(array))) for name, array in rows[0].items()]
    named = [(name, None) for name in outputs]
    builder = NeuralNetworkBuilder(described, named, disable_rank5_shape_mapping=not rank5)
    add(builder)
    if edit:
        edit(builder.spec.neuralNetwork.layers[0])
    model = load(builder.spec)
    many = model.predict(list(rows))
    for row, answer in zip(rows, many, strict=True):
        for name, array in model.predict(row).items():
            np.testing.assert_allclose(array, answer[name], rtol=1e-4, atol=1e-5, strict=True)  # rounding differs
    _expect_the_same_of_the_engine(model, rows, many)
    return [{name: array.astype(np.float32) for name, array in answer.items()} for answer in many]


def _expect_the_same_of_the_engine(
    model: Any, rows: Sequence[dict[str, Array]], plain: Sequence[dict[str, Any]]
) -> None:
    """Whatever is prepared where many rows come gives what the plain run gave."""
    with pytest.MonkeyPatch.context() as patch:
        for room in (batched, fast):
            for cost in ("IMPORTING", "STARTING", "PER_STEP", "OPENING", "PER_BYTE"):
                patch.setattr(room, cost, 0.0, raising=False)
        for answer, expected in zip(model.predict(list(rows)), plain, strict=True):
            for name, array in expected.items():
                np.testing.assert_allclose(answer[name], array, rtol=1e-4, atol=1e-5, strict=True)


@pytest.fixture(scope="session")
def answers() -> AnswersOf:
    """answers(add, [{"x": array}, ...]): what the layer that ``add`` puts into a builder answers each row.

    Every test through it proves as well that rows together get what each gets alone. ``edit`` changes the first
    layer's message to what no builder writes.
    """
    return _answers
