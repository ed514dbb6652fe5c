"""The operators that a network runs for one shape of inputs, as traced by torch; parts of them can run alone."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.data.inputs import ImageInput, Input

from .tracing import example, traced_on
from .unrolling import run_node

# What looks at a tensor's shape or kind alone: its result does not change with the numbers.
SHAPES_ONLY = {"size", "sym_size", "dim", "numel", "_shape_as_tensor", "zeros_like", "ones_like", "full_like"}
SHAPES_ONLY |= {"new_zeros", "new_ones", "new_full", "new_empty", "empty_like", "dtype", "device"}


@dataclass(frozen=True)
class Graph:
    """Operators in order; values are identified by their names in the graph."""

    traced: Any
    operators: Any  # the torch._C.Graph, which its nodes need to live
    inputs: tuple[str, ...]
    answer: str
    writers: Mapping[str, Any]  # the node that writes a value
    moving: frozenset[str]  # values that change with the numbers of the inputs

    def kind(self, name: str) -> str:
        """Return the operator that writes ``name``, such as "softmax"; "" for an input."""
        return operator(self.writers[name]) if name in self.writers else ""

    def given(self, name: str) -> list[str]:
        """Return the inputs of the operator that writes ``name``."""
        return [str(value.debugName()) for value in self.writers[name].inputs()]

    def data(self, name: str) -> list[str]:
        """Return those inputs that depend on the network's inputs."""
        return [item for item in self.given(name) if item in self.moving]

    def rank(self, name: str) -> int | None:
        sizes = self.sizes(name)
        return None if sizes is None else len(sizes)

    def sizes(self, name: str) -> list[int] | None:
        """Return the traced shape of ``name`` with a batch of one; None if torch does not know it."""
        if name not in self.writers:
            return None
        values = {str(output.debugName()): output for output in self.writers[name].outputs()}
        kind = values[name].type()
        return kind.sizes() if kind.kind() == "TensorType" else None

    def numel(self, name: str) -> int:
        """Return how many numbers ``name`` has; 0 if torch does not know it."""
        return prod(self.sizes(name) or [0])


def operator(node: Any) -> str:
    """ "softmax" for ``aten::softmax``, "relu" for ``aten::relu_``, which works in place."""
    kind = str(node.kind()).rpartition("::")[2]
    return kind.rstrip("_") or kind


def batch_of(given: Input, row: Tensor) -> Tensor:
    """Return a batch of one row; pictures already have a batch axis."""
    return row if isinstance(given, ImageInput) else row.unsqueeze(0)


def graph_of(network: nn.Module, inputs: Sequence[Input]) -> Graph:
    """Return the graph of ``network`` for one row; SourceError if it cannot be traced."""
    with torch.random.fork_rng(devices=[]):
        batches = tuple(batch_of(given, example(given)) for given in inputs)
        traced = traced_on(network, batches)
    operators = traced.inlined_graph
    _, *names = (str(value.debugName()) for value in operators.inputs())
    (answer,) = (str(item.debugName()) for item in operators.outputs())
    writers, moving = dict[str, Any](), set(names)
    for node in operators.nodes():
        moves = operator(node) not in SHAPES_ONLY and any(str(value.debugName()) in moving for value in node.inputs())
        for output in node.outputs():
            writers[str(output.debugName())] = node
            if moves:
                moving.add(str(output.debugName()))
    return Graph(traced, operators, tuple(names), answer, writers, frozenset(moving))


def value_of(graph: Graph, batches: Sequence[Tensor], name: str) -> Any:
    """What the graph has computed of ``batches`` when it reaches ``name``; nothing behind it runs."""
    return values_of(graph, batches, [name])[0]


def values_of(graph: Graph, batches: Sequence[Tensor], names: Sequence[str]) -> list[Any]:
    """The same of several values, in one run."""
    values = _started(graph)
    values.update(zip(graph.inputs, batches, strict=True))
    for node in graph.operators.nodes():
        if all(name in values for name in names):
            break
        run_node(node, values)
    return [values[name] for name in names]


def constant_of(graph: Graph, name: str) -> Any:
    """Return a weight or another value that is the same for all inputs; else None."""
    return None if name in graph.moving else _computed(graph, name, _started(graph))


def function_of(graph: Graph, start: str, name: str) -> Callable[[Tensor], Any]:
    """Return what the graph makes of a value of ``start``: that of ``name``, or None if it needs more that moves."""
    behind = {start}
    for writer in graph.writers:
        if writer in graph.moving and all(source in behind for source in graph.data(writer)):
            behind.add(writer)
    return lambda value: _computed(graph, name, _started(graph) | {start: value}, behind)


def _computed(graph: Graph, name: str, values: dict[str, Any], behind: Set[str] = frozenset()) -> Any:
    """Run what ``name`` needs beyond ``values``; None if that is a value that moves and is not in ``behind``."""
    waiting = [name]
    while waiting:
        wanted = waiting[-1]
        missing = [item for item in graph.given(wanted) if item not in values] if wanted not in values else []
        if any(item in graph.moving and item not in behind for item in missing):
            return None  # a length, read off a tensor that moves
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if wanted not in values:
            run_node(graph.writers[wanted], values)
    return values[name]


def _started(graph: Graph) -> dict[str, Any]:
    return {str(next(iter(graph.operators.inputs())).debugName()): graph.traced}


def all_through(graph: Graph, name: str, end: str = "") -> bool:
    """Return whether ``end``, by default the output, depends on the inputs only through ``name``."""
    seen, waiting = {name}, [end or graph.answer]
    while waiting:
        value = waiting.pop()
        if value in seen:
            continue
        seen.add(value)
        if value in graph.inputs:
            return False
        waiting += graph.data(value)
    return True


def layer_name(graph: Graph, name: str, root: nn.Module, inside: nn.Module) -> str:
    """Return the user's name of the layer that writes ``name``: a module of ``inside`` or a Keras layer.

    ``root`` was traced and contains ``inside``. Falls back to the name of the value.
    """
    path = str(graph.writers[name].scopeName()).rpartition("/")[2].replace("__module.", "")
    known: dict[int, str] = {id(module): one for one, module in inside.named_modules()}
    for weights in graph.given(name):
        for part in _attributes(graph, weights):
            if "/" in part:  # "sequential/dense/kernel"
                return str(part.split("/")[-2])
    while path:
        try:
            module: Any = root.get_submodule(path)
        except AttributeError:
            break
        if known.get(id(module)):
            return known[id(module)]
        path = path.rpartition(".")[0]
    for weights in graph.given(name):
        kept = constant_of(graph, weights) if weights in graph.writers and weights not in graph.moving else None
        for one, parameter in inside.named_parameters():
            if isinstance(kept, Tensor) and kept.ndim > 1 and kept.data_ptr() == parameter.data_ptr():
                return one.rpartition(".")[0]
    return name


def _attributes(graph: Graph, name: str) -> list[str]:
    """Return the names of the weights that a constant is computed from."""
    result, waiting = list[str](), [name]
    while waiting:
        value = waiting.pop()
        node = graph.writers.get(value)
        if node is None or value in graph.moving:
            continue
        if str(node.kind()) == "prim::GetAttr":
            result.append(str(node.s("name")))
        waiting += graph.given(value)
    return result
