"""A network as one ONNX graph for batches of any size, its trained weights under their own names.

Graphs are recorded for one size of batch. Here each is recorded for two, 2 and 3 rows, and where the two graphs differ
the size of the batch is meant: a reshape then infers that axis, anything else computes it from the input.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import fx

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.engine.onnx_graph import OPSET, UnsupportedError, to_onnx
from coreml_updatable.runtime.engine.tracing import recorded, traced, with_loops
from coreml_updatable.siblings.learner import SiblingSource
from coreml_updatable.spec.messages import copy_of

SIZES = (2, 3)
BATCH = "batch"
SCORES = "scores"  # logits [n, K], or the values of a squared error


def parts(source: SiblingSource, rows: int, *, loops: bool = False) -> tuple[fx.GraphModule, fx.GraphModule]:
    """The fixed part and the head, recorded for a batch of so many rows; the head's weights are its last inputs.

    ``loops``: those of the fixed part stay loops (see ``tracing.with_loops``), else every step is recorded."""
    random = torch.Generator().manual_seed(0)
    inputs = [torch.rand(rows, *value.shape, generator=random) for value in source.inputs]
    weights = list(source.weights.values())
    try:
        fixed, crossing = traced(source.fixed, inputs)
        if loops:
            fixed = with_loops(source.fixed, inputs)
        return fixed, recorded(source.head, [item.clone() for item in crossing], weights)  # type: ignore[return-value]  # which is a GraphModule
    except (RuntimeError, NotImplementedError) as error:
        raise ModelError(
            f"model: its layers cannot be recorded as one graph ({_line(error)}); no sibling has them"
        ) from error


def to_model(source: SiblingSource) -> Any:
    """The ONNX model. Inputs: those of the network, [batch, ...]. Outputs: ``scores``, then those of the network.
    Initializers: the weights to train by name, the others as ``fixed.`` and ``head.``."""
    from onnx import TensorProto, helper

    pairs = [parts(source, rows) for rows in SIZES]
    try:
        fixed, head = (_any_batch(*(to_onnx_graph(pair[position]) for pair in pairs)) for position in (0, 1))
    except UnsupportedError as error:
        raise ModelError(f"model: {error} cannot be written as ONNX; the model can have no sibling") from error
    for graph in (fixed, head):
        _share_constants(graph)
    _rename(
        fixed, [value.name for value in source.inputs], [f"crossing{n}" for n in range(len(fixed.output))], "fixed."
    )
    crossing = [item.name for item in fixed.output]
    names = [SCORES, *source.outputs]
    _rename(head, [*crossing, *source.weights], names, "head.")
    inputs = [
        helper.make_tensor_value_info(value.name, TensorProto.FLOAT, [BATCH, *value.shape]) for value in source.inputs
    ]
    shapes = [(source.size,), *source.outputs.values()]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, *shape])
        for name, shape in zip(names, shapes, strict=True)
    ]
    weights = [
        helper.make_tensor(name, TensorProto.FLOAT, list(value.shape), value.detach().numpy().tobytes(), raw=True)
        for name, value in source.weights.items()
    ]
    graph = helper.make_graph(
        [*fixed.node, *head.node], "sibling", inputs, outputs, [*weights, *fixed.initializer, *head.initializer]
    )
    for index, node in enumerate(graph.node):
        node.name = f"{node.op_type}{index}"  # ONNX Runtime derives the names of fused nodes, which have to differ
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9, producer_name="coreml_updatable")


def to_onnx_graph(module: fx.GraphModule) -> Any:
    import onnx

    return onnx.load_model_from_string(to_onnx(module)).graph


def _any_batch(small: Any, large: Any) -> Any:
    """The graph ``small`` for any number of rows; ``large`` is the same one for one row more."""
    from onnx import numpy_helper

    if [_signature(node) for node in small.node] != [_signature(node) for node in large.node]:
        raise UnsupportedError("an operation that depends on the number of rows")
    others = {entry.name: numpy_helper.to_array(entry) for entry in large.initializer}
    added: list[Any] = []
    for item in list(small.initializer):
        first, second = numpy_helper.to_array(item), others[item.name]
        if first.shape == second.shape and np.array_equal(first, second):
            continue
        small.initializer.remove(item)
        if first.dtype == np.int64 and first.shape == second.shape and first.ndim == 1:
            _sizes(small, item.name, first, second, added)
        else:
            _repeated(small, item.name, first, second, added)
    nodes = [*added, *small.node]
    del small.node[:]
    small.node.extend(nodes)
    return small


def _sizes(graph: Any, name: str, first: Any, second: Any, added: list[Any]) -> None:
    """A list of sizes in which some are multiples of the number of rows."""
    from onnx import helper, numpy_helper

    multiples = second - first
    if not np.array_equal(multiples * SIZES[0], np.where(multiples == 0, 0, first)):
        raise UnsupportedError("a size that is not a multiple of the number of rows")
    users = [node for node in graph.node if name in node.input]
    if np.count_nonzero(multiples) == 1 and all(node.op_type == "Reshape" for node in users) and 0 not in first:
        inferred = np.where(multiples > 0, -1, first)
        graph.initializer.append(numpy_helper.from_array(inferred, name))
        return
    factors, constants = np.where(multiples > 0, multiples, 0), np.where(multiples > 0, 0, first)
    rows = _rows(graph, added)
    for part, values in (("factors", factors), ("constants", constants)):
        graph.initializer.append(numpy_helper.from_array(values, f"{name}.{part}"))
    added.append(helper.make_node("Mul", [rows, f"{name}.factors"], [f"{name}.scaled"]))
    added.append(helper.make_node("Add", [f"{name}.scaled", f"{name}.constants"], [name]))


def _repeated(graph: Any, name: str, first: Any, second: Any, added: list[Any]) -> None:
    """A constant that is the same for every row."""
    from onnx import helper, numpy_helper

    grown = [
        axis for axis in range(first.ndim) if first.ndim == second.ndim and first.shape[axis] != second.shape[axis]
    ]
    if len(grown) != 1:
        raise UnsupportedError("a constant that depends on the number of rows")
    (axis,) = grown
    row = np.take(first, range(second.shape[axis] - first.shape[axis]), axis)
    if not all(
        np.array_equal(np.concatenate([row] * rows, axis), item)
        for rows, item in zip(SIZES, (first, second), strict=True)
    ):
        raise UnsupportedError("a constant that differs from row to row")
    rows = _rows(graph, added)
    ones = np.ones(first.ndim, np.int64)
    ones[axis] = 0
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(row), f"{name}.row"))
    graph.initializer.append(numpy_helper.from_array(ones, f"{name}.ones"))
    graph.initializer.append(numpy_helper.from_array(1 - ones, f"{name}.axis"))
    added.append(helper.make_node("Mul", [rows, f"{name}.axis"], [f"{name}.count"]))
    added.append(helper.make_node("Add", [f"{name}.count", f"{name}.ones"], [f"{name}.times"]))
    added.append(helper.make_node("Tile", [f"{name}.row", f"{name}.times"], [name]))


def _rows(graph: Any, added: list[Any]) -> str:
    """The name of the number of rows, [1]."""
    from onnx import helper

    if not any("rows" in node.output for node in added):
        added.append(helper.make_node("Shape", [graph.input[0].name], ["rows"], start=0, end=1))
    return "rows"


def _share_constants(graph: Any) -> None:
    """Keep one of the constants that are the same: an unrolled LSTM has its weights once for each step."""
    kept: dict[bytes, Any] = {}
    names: dict[str, str] = {}
    for item in graph.initializer:
        name, item.name = item.name, ""
        digest = sha256(item.SerializeToString(deterministic=True)).digest()
        item.name = name
        names[name] = kept.setdefault(digest, item).name
    shared = [copy_of(entry) for entry in kept.values()]
    del graph.initializer[:]
    graph.initializer.extend(shared)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def _signature(node: Any) -> Any:
    return node.op_type, list(node.input), list(node.output), [item.SerializeToString() for item in node.attribute]


def _rename(graph: Any, inputs: Sequence[str], outputs: Sequence[str], prefix: str) -> None:
    """Give the inputs and outputs their names, and everything else ``prefix``."""
    known = {entry.name: name for entry, name in zip(graph.input, inputs, strict=True)}
    known |= {entry.name: name for entry, name in zip(graph.output, outputs, strict=True)}

    def renamed(name: str) -> str:
        return known.get(name, f"{prefix}{name}") if name else name

    for node in graph.node:
        for names in (node.input, node.output):
            changed = [renamed(name) for name in names]
            del names[:]
            names.extend(changed)
    for item in graph.initializer:
        item.name = renamed(item.name)
    for item in [*graph.input, *graph.output]:
        item.name = renamed(item.name)


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
