"""A recorded graph for batches of any size, from two that were recorded for 2 and 3 rows.

Where the two differ, the size of the batch is meant: a reshape then infers that axis, anything else computes it.
"""

from typing import Any

import torch
from torch import Tensor, fx

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.engine.tracing import VIEWS

SIZES = (2, 3)


def any_batch(small: fx.GraphModule, large: fx.GraphModule) -> fx.GraphModule:
    """``small`` for any number of rows (the first axis of its first input); ModelError where it cannot be."""
    graph = small.graph
    nodes, others = list(graph.nodes), list(large.graph.nodes)
    if [(node.op, str(node.target)) for node in nodes] != [(node.op, str(node.target)) for node in others]:
        raise ModelError("model: what it computes depends on the number of rows; no sibling can be made of it")
    batch = _Rows(graph, next(node for node in nodes if node.op == "placeholder"))
    for node, other in zip(nodes, others, strict=True):
        if node.op == "get_attr":
            _constant(small, node, _value(small, node), _value(large, other), batch)
        elif node.op == "call_function":
            is_view = node.target in VIEWS
            node.args = tuple(
                _argument(one, another, batch, node, infer=is_view)
                for one, another in zip(node.args, other.args, strict=True)
            )
        node.meta.pop("val", None)
    graph.lint()
    small.recompile()
    return small


class _Rows:
    """Multiples of the number of rows, each computed where it is first needed."""

    def __init__(self, graph: fx.Graph, first: fx.Node) -> None:
        self._graph, self._first = graph, first

    def times(self, factor: int, before: fx.Node) -> Any:
        with self._graph.inserting_before(before):
            rows = self._graph.call_function(torch.ops.aten.sym_size.int, (self._first, 0))
            return rows if factor == 1 else self._graph.call_function(_product, (rows, factor))


def _product(first: Any, second: Any) -> Any:
    return first * second


def _argument(one: Any, other: Any, batch: _Rows, node: fx.Node, *, infer: bool) -> Any:
    if isinstance(one, list | tuple):
        several = (
            isinstance(one, list) and sum(a != b for a, b in zip(one, other, strict=True) if isinstance(a, int)) > 1
        )
        return type(one)(
            _argument(a, b, batch, node, infer=infer and not several) for a, b in zip(one, other, strict=True)
        )
    if isinstance(one, int) and not isinstance(one, bool) and one != other:
        factor = other - one
        if factor * SIZES[0] != one:
            raise ModelError("model: a size in it is no multiple of the number of rows; no sibling can be made of it")
        return -1 if infer else batch.times(factor, node)
    return one


def _constant(module: fx.GraphModule, node: fx.Node, first: Tensor, second: Tensor, batch: _Rows) -> None:
    """A constant that is the same for every row becomes one row of it, repeated."""
    if first.shape == second.shape:
        return
    grown = [
        axis for axis in range(first.dim()) if first.dim() == second.dim() and first.shape[axis] != second.shape[axis]
    ]
    if len(grown) != 1:
        raise ModelError("model: a constant in it depends on the number of rows; no sibling can be made of it")
    (axis,) = grown
    each = second.shape[axis] - first.shape[axis]
    row = first.narrow(axis, 0, each).contiguous()
    if not all(
        torch.equal(torch.cat([row] * rows, axis), one) for rows, one in zip(SIZES, (first, second), strict=True)
    ):
        raise ModelError("model: a constant in it differs from row to row; no sibling can be made of it")
    name = f"{node.target}_row"
    module.register_buffer(name, row)
    following = node.next
    with module.graph.inserting_before(following):
        kept = module.graph.get_attr(name)
    times: list[Any] = [1] * first.dim()
    times[axis] = batch.times(1, following)
    with module.graph.inserting_before(following):
        repeated = module.graph.call_function(torch.ops.aten.repeat.default, (kept, times))
    node.replace_all_uses_with(repeated)
    module.graph.erase_node(node)


def _value(module: fx.GraphModule, node: fx.Node) -> Tensor:
    value: Any = module
    for name in str(node.target).split("."):
        value = getattr(value, name)
    return value  # type: ignore[no-any-return]
