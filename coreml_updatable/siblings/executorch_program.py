"""A program of ExecuTorch with its training extension: forward and backward in one method, weights inside.

The method ``forward(inputs..., targets, counted)`` takes as many rows as the model's mini-batch has; ``counted`` [n] is
1 for a row that counts and 0 for one that only fills the batch. It answers the mean loss of the rows that count, then
the network's outputs; the runtime finds gradients and weights behind them. Sizes are fixed because programs with a free
batch trained otherwise in version 1.5.1, or could not be written. A method's weights are its own, so predictions after
training come from it, too.
"""

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from coreml_updatable.environments import Environment
from coreml_updatable.errors import ModelError
from coreml_updatable.siblings.graph import parts
from coreml_updatable.siblings.learner import SiblingSource

ENGINE = Environment(
    library="ExecuTorch",
    folder=".venv-executorch",
    variable="EXECUTORCH_PYTHON",
    command="make executorch",
    python="Python 3.10 to 3.12",
)
PROGRAM = Path(__file__).with_name("programs") / "executorch_training.py"
FILE = "training.pte"
METHOD = "forward"
SUMS, LONG = (torch.ops.aten.mean.dim, torch.ops.aten.sum.dim_IntList), 1024  # values of a sum
_EXPORTING = Lock()  # torch exports one graph at a time


class _Training(nn.Module):
    """Loss first, then the outputs; the fixed weights need no gradients."""

    def __init__(self, source: SiblingSource, rows: int) -> None:
        super().__init__()
        fixed, self.head = parts(source, rows, loops=True)
        self.fixed = _sums_in_two(fixed)
        self.weights = nn.ParameterList([value.detach().clone() for value in source.weights.values()])
        self._cross_entropy = source.loss.cross_entropy

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        *inputs, targets, counted = values
        scores, *outputs = self.head(*self.fixed(*inputs), *self.weights)
        if self._cross_entropy:
            losses = functional.cross_entropy(scores, targets, reduction="none")
        else:
            losses = (scores - targets).square().mean(1)
        return ((losses * counted).sum() / counted.sum(), *(output.detach() for output in outputs))


def make(source: SiblingSource, folder: Path, rows: Path, trained: Path) -> Mapping[str, Any]:
    """Write the program into ``folder``, train it from ``rows`` to ``trained`` (.npz); notes for apps."""
    if source.optimizer != "sgdOptimizer":
        raise ModelError(
            "model: its optimizer is Adam, ExecuTorch offers apps SGD only (its AdamW is in C++ without a binding); "
            "mark the model with SGD"
        )
    ENGINE.interpreter()  # before the work
    size = int(source.parameters["miniBatchSize"])
    with TemporaryDirectory(prefix="coreml_updatable.") as name:
        graph = Path(name) / "graph.pt2"
        _export(_Training(source, size), source, size, graph)
        result = ENGINE.ask(PROGRAM, {**_training(source, folder, rows, trained), "graph": str(graph)}, "executorch")
    return {
        "engine_optimizer": {"name": "SGD", "momentum": "torch's, v = mu v + g, w = w - lr v"},
        "method": METHOD,
        "batch": size,
        "counted": "float32 [batch]: 1 for a row that counts, 0 for one that fills the batch",
        "weights": _names(source),
        **result,
    }


def train(source: SiblingSource, folder: Path, rows: Path, trained: Path) -> None:
    """Train a program that is there."""
    ENGINE.ask(PROGRAM, _training(source, folder, rows, trained), "executorch")


def _training(source: SiblingSource, folder: Path, rows: Path, trained: Path) -> dict[str, Any]:
    return {
        "program": str(folder / FILE),
        "method": METHOD,
        "rows": str(rows),
        "trained_rows": str(trained),
        "inputs": [value.name for value in source.inputs],
        "outputs": list(source.outputs),
        "weights": _names(source),
        "learning_rate": source.parameters["learningRate"],
        "momentum": source.parameters["momentum"],
        "batch": int(source.parameters["miniBatchSize"]),
    }


def _sums_in_two(module: fx.GraphModule) -> fx.GraphModule:
    """Long sums, and means, as sums of sums: ExecuTorch adds one value after the other, in 32 bits.

    The loudness of a clip of 48,000 values was off by 5e-5 of itself so.
    """
    graph = module.graph
    for node in list(graph.nodes):
        if node.target not in SUMS or len(node.args[1]) != 1:
            continue
        shape = list(node.args[0].meta["val"].shape)
        axis = node.args[1][0] % len(shape)
        size = shape[axis]
        part = next(part for part in range(math.isqrt(size), 0, -1) if size % part == 0)
        if size < LONG or part == 1:
            continue
        with graph.inserting_before(node):
            parts_of_it = graph.call_function(
                torch.ops.aten.reshape.default, (node.args[0], [*shape[:axis], part, size // part, *shape[axis + 1 :]])
            )
            node.args = (graph.call_function(node.target, (parts_of_it, [axis + 1])), [axis], *node.args[2:])
    module.recompile()
    return module


def _names(source: SiblingSource) -> dict[str, str]:
    """The program's names of the weights, and ours."""
    return {f"weights.{index}": name for index, name in enumerate(source.weights)}


def _export(module: nn.Module, source: SiblingSource, rows: int, path: Path) -> None:
    """The forward pass for ``rows`` rows; ExecuTorch's own program takes its gradients."""
    from torch.export import export, save

    inputs = [torch.zeros(rows, *value.shape) for value in source.inputs]
    targets = torch.zeros(rows, dtype=torch.int64) if source.loss.cross_entropy else torch.zeros(rows, source.size)
    with _EXPORTING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            save(export(module, (*inputs, targets, torch.ones(rows))), path)
        except Exception as error:  # the exporter raises of every kind
            line = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise ModelError(f"model: torch cannot export it for ExecuTorch: {line}") from error
