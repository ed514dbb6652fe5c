"""From a batched function to torch's frozen, optimized graph with the same numbers.

The function is recorded as a straight line of operations for one set of shapes. Batching leaves reshapes between the
operations, which keep torch from fusing a convolution with the activation behind it; so they are pushed towards the
end, where they cancel. Every rewriting is an identity: an elementwise operation commutes with a reshape.
"""

import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from coreml_updatable.errors import ModelError

aten = torch.ops.aten
ELEMENTWISE = {
    aten.hardtanh.default,
    aten.relu.default,
    aten.sigmoid.default,
    aten.hardsigmoid.default,
    aten.tanh.default,
    aten.clamp.default,
    aten.leaky_relu.default,
    aten.gelu.default,
}
ELEMENTWISE_PAIRS = {aten.add.Tensor, aten.mul.Tensor, aten.sub.Tensor, aten.div.Tensor}
VIEWS = {aten.view.default, aten._unsafe_view.default, aten.reshape.default}
jit: Any = torch.jit  # untyped
TOLERANCE = 1e-5  # relative to the largest value of an output


def optimized(
    function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor]
) -> Callable[..., tuple[Tensor, ...]] | None:
    """The optimized function for inputs of these shapes; None where torch cannot trace it or the numbers differ."""
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = function(*inputs)
            graph = push_views(make_fx(function)(*inputs)).eval()
            traced = jit.trace(graph, tuple(inputs), check_trace=False)
            fast = jit.optimize_for_inference(jit.freeze(traced.eval()))
            found = fast(*inputs)
            fast(*inputs)  # the second run specializes; the caller should not pay for it
    except (ModelError, RuntimeError, TypeError, ValueError, NotImplementedError):
        return None
    same = len(found) == len(expected) and all(_close(*pair) for pair in zip(found, expected, strict=True))
    return fast if same else None


def _close(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    largest = float(expected.abs().max()) if expected.numel() else 0.0
    return bool(torch.allclose(found, expected, rtol=0.0, atol=TOLERANCE * max(1.0, largest), equal_nan=True))


def push_views(module: fx.GraphModule) -> fx.GraphModule:
    """Drop permutations that permute nothing, join reshapes, and move reshapes behind elementwise operations."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        if node.target is aten.permute.default and list(node.args[1]) == list(range(len(node.args[1]))):
            _replace(graph, node, node.args[0])
        elif node.target in VIEWS:
            source = node.args[0]
            if _is_view(source):
                source = source.args[0]
                node.args = (source, node.args[1])
            if _shape(source) == _shape(node):
                _replace(graph, node, source)
        elif _commutes(node):
            _move_view_behind(graph, node)
    graph.eliminate_dead_code()
    module.recompile()
    return module


def _commutes(node: fx.Node) -> bool:
    if node.target in ELEMENTWISE:
        return _is_view(node.args[0])
    if node.target not in ELEMENTWISE_PAIRS or not all(_is_view(argument) for argument in node.args[:2]):
        return False
    first, second = node.args[:2]
    assert isinstance(first, fx.Node)
    assert isinstance(second, fx.Node)
    return _shape(first) == _shape(second) and _shape(first.args[0]) == _shape(second.args[0])


def _move_view_behind(graph: fx.Graph, node: fx.Node) -> None:
    count = 1 if node.target in ELEMENTWISE else 2
    views = [argument for argument in node.args[:count] if isinstance(argument, fx.Node)]
    sources = [view.args[0] for view in views]
    target: Any = node.target
    with graph.inserting_before(node):
        moved = graph.call_function(target, (*sources, *node.args[count:]), dict(node.kwargs))
        moved.meta["val"] = sources[0].meta["val"]  # type: ignore[union-attr]
        view = graph.call_function(aten.view.default, (moved, list(_shape(node))))
        view.meta["val"] = node.meta["val"]
    _replace(graph, node, view)


def _replace(graph: fx.Graph, node: fx.Node, by: Any) -> None:
    node.replace_all_uses_with(by)
    graph.erase_node(node)


def _is_view(node: Any) -> bool:
    return isinstance(node, fx.Node) and node.op == "call_function" and node.target in VIEWS


def _shape(node: Any) -> tuple[int, ...]:
    if node.target is operator.getitem or "val" not in node.meta:
        return (-1, id(node))
    return tuple(node.meta["val"].shape)
