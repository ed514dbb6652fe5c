"""Layers that read indices from blobs, and yet run many rows at once (conftest proves all of them row by row)."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from coreml_updatable.runtime.engine.program import build_steps

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

X = np.arange(16, dtype=np.float32).reshape(4, 4) / 16 + 0.5
INDICES = np.array([0, 1, -1], np.float32)
U = X[:3]
SCATTER_MODES = ("UPDATE", "ADD", "SUB", "MUL", "DIV", "MAX", "MIN")
TOGETHER: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "gather": (lambda b: b.add_gather("l", ["0", "1"], "y"), [X, INDICES]),
    "gatherND": (lambda b: b.add_gather_nd("l", ["0", "1"], "y"), [X, INDICES[:, None]]),
    "gatherAlongAxis": (lambda b: b.add_gather_along_axis("l", ["0", "1"], "y"), [X, X]),
    "scatterND": (lambda b: b.add_scatter_nd("l", ["0", "1", "2"], "y"), [X, INDICES[:, None], U]),
    "scatterAlongAxis": (lambda b: b.add_scatter_along_axis("l", ["0", "1", "2"], "y"), [X, U * 0, U]),
    "reverseSeq": (lambda b: b.add_reverse_sequence("l", ["0", "1"], "y"), [X, np.ones(4, np.float32)]),
    "sliceBySize": (lambda b: b.add_slice_by_size("l", ["0", "1"], "y", 0, 2), [X, INDICES[1:2]]),
    "slidingWindows": (lambda b: b.add_sliding_windows("l", "0", "y", 0, 2), [X]),
    "argSort": (lambda b: b.add_argsort("l", "0", "y", 0), [X]),
    "cumSum": (lambda b: b.add_cumsum("l", ["0"], "y", 0, True, True), [X]),
    "oneHot": (lambda b: b.add_one_hot("l", ["0"], "y", 4), [X * 3]),
}


def scatter(mode: str) -> Callable[[Any], Any]:
    return lambda b: b.add_scatter("l", ["0", "1", "2"], "y", 0, mode)


TOGETHER |= {f"scatter {mode}": (scatter(mode), [X, INDICES, U]) for mode in SCATTER_MODES}


@pytest.mark.parametrize("kind", TOGETHER)
def test_rows_run_together(kind: str) -> None:
    add, inputs = TOGETHER[kind]
    described = [(str(position), datatypes.Array(*value.shape)) for position, value in enumerate(inputs)]
    builder = NeuralNetworkBuilder(described, [("y", None)], disable_rank5_shape_mapping=True)
    add(builder)
    (step,) = build_steps(builder.spec.neuralNetwork.layers)
    rows = [torch.from_numpy(np.stack([value, value[::-1]])) for value in inputs]
    together = torch.vmap(step.module)(*rows)
    for index in range(2):
        torch.testing.assert_close(together[index], step.module(*(value[index] for value in rows)))
