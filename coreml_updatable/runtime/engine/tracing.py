"""Record a batched function as a flat sequence of torch operations for one set of shapes, and simplify it.

Batching leaves reshapes between the operations, which keep an engine from fusing a convolution with the following
activation; so they are pushed towards the end, where they cancel. Borders of zeros before a convolution are folded into
it. Every rewrite is an identity: an elementwise operation and a border commute with a reshape.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from coreml_updatable.runtime.engine import loops
from coreml_updatable.runtime.engine.loops import scan_op

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
AXES_OF_ONE = {aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims, aten.unsqueeze.default}
RESHAPING = ("squeeze", "t", "transpose", "unsqueeze")  # in place, they change shapes, not values
MAX_OPERATIONS = 5000  # beyond, as for a long LSTM, preparing an engine takes longer than running
PAD, CONVOLUTION = aten.constant_pad_nd.default, aten.convolution.default


class UntraceableError(RuntimeError):
    """An operation that cannot be recorded, because it depends on a value or writes into its input."""


def traced(
    function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor], most: int | None = None
) -> tuple[fx.GraphModule, tuple[Tensor, ...]]:
    """Return the graph of ``function`` for inputs of these shapes, and its result for these inputs.

    Raises RuntimeError if it depends on values, or runs more than ``most`` operations.
    """
    recording = _Recording(inputs, most)
    with torch.no_grad():
        with recording:
            result = function(*inputs)
        module = recording.module(result)
        return pull_borders(push_views(module)).eval(), result


def recorded(
    function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor], parameters: Sequence[Tensor]
) -> Callable[..., tuple[Tensor, ...]]:
    """Return ``function(*inputs)`` as a differentiable function of (*inputs, *parameters) for these shapes.

    ``parameters``: those that ``function`` reads besides its inputs. Raises RuntimeError if it depends on values, or
    blocks gradients.
    """
    recording = _Recording([*inputs, *parameters])
    with recording:
        result = function(*inputs)
    module = recording.module(result)
    module.graph.eliminate_dead_code()  # what autograd would keep for the backward pass
    if any(node.target is aten.detach.default for node in module.graph.nodes):
        raise UntraceableError("a part without gradients cannot be recorded")
    for node in module.graph.nodes:
        if node.op == "call_function" and node.target in AXES_OF_ONE:
            node.target, node.args = aten.reshape.default, (node.args[0], list(_shape(node)))
    return push_views(module)


def with_loops(function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor]) -> fx.GraphModule:
    """Return what ``traced`` records, with loops over a sequence as torch's ``scan``."""
    if _Recording not in scan_op().python_key_table:
        scan_op().py_impl(_Recording)(_Recording.scan)
    with loops.kept():
        return traced(function, inputs)[0]


class _Recording(TorchDispatchMode):
    """Record every operation below ``torch.vmap``. Torch's own ``make_fx`` is ten times slower and takes seconds to
    import."""

    def __init__(self, inputs: Sequence[Tensor], most: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is untyped
        self._most = most
        self._graph, self._root = fx.Graph(), nn.Module()
        self._nodes: Any = WeakTensorKeyDictionary()
        self._constants: Any = WeakTensorKeyDictionary()
        self._operations = 0
        for index, value in enumerate(inputs):
            self._note(self._graph.placeholder(f"x{index}"), value)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """As of ``weighing``: torch's compiler takes seconds to import."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        noted = _without_writing(func)
        if noted is None or func is aten._local_scalar_dense.default:
            raise UntraceableError(f"{func} cannot be recorded")
        self._operations += 1
        if self._most is not None and self._operations > self._most:
            raise UntraceableError(f"has more than {self._most:,} operations")
        node = self._graph.call_function(noted, tree_map(self._known, args), tree_map(self._known, kwargs))
        result = func(*args, **kwargs)
        self._note(node, result)
        return result

    def scan(
        self, step: Callable[..., Any], states: Sequence[Tensor], sequences: Sequence[Tensor], _others: Any
    ) -> tuple[Tensor, ...]:
        """Record a loop as one operation with its step as a graph; other tensors that the step reads become inputs."""
        with self:
            states = [state.clone(memory_format=torch.contiguous_format) for state in states]  # as the step gives them
        body, read = _step_of(step, [*states, *(sequence[0] for sequence in sequences)])
        name = f"step{len(self._root._modules)}"
        self._root.add_module(name, body)
        node = self._graph.call_function(
            scan_op(),
            (self._graph.get_attr(name), *(list(map(self._known, some)) for some in (states, sequences)),
             tuple(map(self._known, read))),
        )  # fmt: skip
        steps: list[Sequence[Tensor]] = []
        for values in zip(*sequences, strict=True):
            steps.append(body(*states, *values, *read))
            states = steps[-1][: len(states)]
        result = (*states, *(torch.stack(every) for every in list(zip(*steps, strict=True))[len(states) :]))
        self._note(node, result)
        return result

    def _known(self, value: Any) -> Any:
        """Return the node of a tensor; a tensor without one is a constant."""
        if not isinstance(value, Tensor):
            return value
        if value in self._nodes:
            return self._nodes[value]
        if value not in self._constants:
            name = f"constant{len(self._root._buffers)}"
            self._root.register_buffer(name, value.detach())
            self._constants[value] = name
        node = self._graph.get_attr(self._constants[value])
        node.meta["val"] = _shell(value)
        return node

    def _note(self, node: fx.Node, result: Any) -> None:
        if isinstance(result, Tensor):
            node.meta["val"] = _shell(result)
            self._nodes[result] = node
            return
        node.meta["val"] = tuple(_shell(entry) if isinstance(entry, Tensor) else entry for entry in result)
        for index, item in enumerate(result):
            if isinstance(item, Tensor):
                self._note(self._graph.call_function(operator.getitem, (node, index)), item)

    def module(self, result: Sequence[Tensor]) -> fx.GraphModule:
        self._graph.output(tuple(self._known(item) for item in result))
        return fx.GraphModule(self._root, self._graph)


def _step_of(step: Callable[..., Any], inputs: Sequence[Tensor]) -> tuple[fx.GraphModule, list[Tensor]]:
    """Return the step of a loop as a graph of (*inputs, *read), and the tensors that it reads besides its inputs.

    Its outputs are new, contiguous tensors.
    """
    recording = _Recording(inputs)
    with recording:
        result = [item.clone(memory_format=torch.contiguous_format) for item in step(*inputs)]
    module, read = recording.module(result), []
    last = [node for node in module.graph.nodes if node.op == "placeholder"][-1]
    for value, name in list(recording._constants.items()):
        with module.graph.inserting_after(last):
            last = module.graph.placeholder(name)
        for node in module.graph.find_nodes(op="get_attr", target=name):
            _replace(module.graph, node, last)
        delattr(module, name)
        read.append(value)
    module.recompile()
    return module, read


def _without_writing(func: Any) -> Any:
    """Return the operation with the same result that does not change its input; None if values are written."""
    if not any(argument.alias_info is not None and argument.alias_info.is_write for argument in func._schema.arguments):
        return func
    name = str(func._schema.name).partition("::")[2].rstrip("_")
    return getattr(getattr(aten, name), func._overloadname) if name in RESHAPING else None


def _shell(value: Tensor) -> Tensor:
    """Return a tensor of the same shape and type without its values."""
    return torch.empty(value.shape, dtype=value.dtype, device="meta")


def push_views(module: fx.GraphModule) -> fx.GraphModule:
    """Remove identity permutations, merge reshapes, and move reshapes after elementwise operations."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        if node.target is aten.permute.default and list(node.args[1]) == list(range(len(node.args[1]))):
            _replace(graph, node, node.args[0])
        elif node.target in VIEWS:
            source = node.args[0]
            if _is_view(source):
                if source.target is aten.reshape.default:  # which copies if a view is impossible
                    node.target = aten.reshape.default
                source = source.args[0]
                node.args = (source, node.args[1])
            if _shape(source) == _shape(node):
                _replace(graph, node, source)
        elif _commutes(node):
            _move_view_behind(graph, node)
    graph.eliminate_dead_code()
    module.recompile()
    return module


def pull_borders(module: fx.GraphModule) -> fx.GraphModule:
    """If a border and a reshape precede a convolution, move the reshape to the front."""
    graph = module.graph
    for node in list(graph.nodes):
        view: Any = node.args[0] if node.op == "call_function" and node.target is CONVOLUTION else None
        if not _is_view(view) or view.args[0].target is not PAD or not _keeps_padded_axes(view.args[0], view):
            continue
        border: Any = view.args[0]
        shape = _moved_shape(border, view, _shape(border.args[0]))
        with graph.inserting_before(node):
            source = graph.call_function(aten.view.default, (border.args[0], list(shape)))
            source.meta["val"] = _like(border, shape)
            padded = graph.call_function(PAD, (source, *border.args[1:]), dict(border.kwargs))
            padded.meta["val"] = view.meta["val"]
        node.replace_input_with(view, padded)
        if _is_view(border.args[0]):
            source.args = (border.args[0].args[0], list(shape))
    graph.eliminate_dead_code()
    module.recompile()
    return module


def borders(node: Any) -> tuple[fx.Node, tuple[int, int, int, int]] | None:
    """Return the padded node and (left, right, top, bottom) >= 0 if ``node`` pads pictures [n, C, H, W] with zeros."""
    if not isinstance(node, fx.Node) or node.target is not PAD or len(_shape(node)) != 4:
        return None
    source, amounts, value = node.args[0], list(node.args[1]), node.args[2] if len(node.args) > 2 else 0.0  # type: ignore[arg-type]  # a node's arguments are of any type
    edges = tuple(int(edge) for edge in (*amounts, 0, 0, 0, 0)[:4])
    if not isinstance(source, fx.Node) or value != 0 or any(amounts[4:]) or min(edges) < 0:
        return None
    return source, (edges[0], edges[1], edges[2], edges[3])


def fold_borders(module: fx.GraphModule) -> fx.GraphModule:
    """Fold padding into convolutions. Torch pads both sides equally, so if one side needs more, the filter gets rows or
    columns of zeros on the other."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.op != "call_function" or node.target is not CONVOLUTION or node.args[6]:
            continue
        result = borders(node.args[0])
        weight = node.args[1]
        if result is None or not isinstance(weight, fx.Node) or weight.op != "get_attr" or len(node.args[4]) != 2:
            continue
        source, (left, right, top, bottom) = result
        values, (high, wide), dilation = getattr(module, str(weight.target)), node.args[4], node.args[5]
        grown = [_grown((top + high, bottom + high), dilation[0]), _grown((left + wide, right + wide), dilation[1])]
        if None in grown:
            continue
        (before, after), (first, last) = grown[0], grown[1]  # type: ignore[misc]
        name = str(weight.target)
        if before or after or first or last:
            name = f"_folded_{node.name}"
            module.register_buffer(name, functional.pad(values.detach(), (first, last, before, after)))
        with graph.inserting_before(node):
            filters = graph.get_attr(name)
        padding = [max(top, bottom) + high, max(left, right) + wide]
        node.args = (source, filters, *node.args[2:4], padding, *node.args[5:])
    graph.eliminate_dead_code()
    module.recompile()
    return module


def _grown(edges: tuple[int, int], dilation: int) -> tuple[int, int] | None:
    """Return the zeros before and after a filter for which the larger border on both sides gives the same windows."""
    missing = max(edges) - min(edges)
    if missing % dilation:
        return None
    return (missing // dilation, 0) if edges[0] < edges[1] else (0, missing // dilation)


def _commutes(node: fx.Node) -> bool:
    if node.target in ELEMENTWISE or (node.target is PAD and _pads_kept_axes(node)):
        return _is_view(node.args[0])
    if node.target not in ELEMENTWISE_PAIRS or not all(_is_view(argument) for argument in node.args[:2]):
        return False
    first, second = node.args[:2]
    assert isinstance(first, fx.Node)
    assert isinstance(second, fx.Node)
    return _shape(first) == _shape(second) and _shape(first.args[0]) == _shape(second.args[0])


def _pads_kept_axes(node: fx.Node) -> bool:
    """Return whether the reshape before it keeps the last axes, the only ones that are padded."""
    view: Any = node.args[0]
    return _is_view(view) and _keeps_padded_axes(node, view, view.args[0])


def _keeps_padded_axes(border: fx.Node, view: fx.Node, source: fx.Node | None = None) -> bool:
    """Return whether ``view`` (of ``source``, or of the padded value) keeps the axes that ``border`` pads."""
    axes = len(border.args[1]) // 2  # type: ignore[arg-type]  # a node's arguments are of any type
    before, after = _shape(source or border), _shape(view)
    return axes < min(len(before), len(after)) and before[-axes:] == after[-axes:]


def _move_view_behind(graph: fx.Graph, node: fx.Node) -> None:
    count = 2 if node.target in ELEMENTWISE_PAIRS else 1
    views = [argument for argument in node.args[:count] if isinstance(argument, fx.Node)]
    sources: list[Any] = [view.args[0] for view in views]
    target: Any = node.target
    with graph.inserting_before(node):
        moved = graph.call_function(target, (*sources, *node.args[count:]), dict(node.kwargs))
        shape = _moved_shape(node, sources[0], _shape(node)) if node.target is PAD else _shape(sources[0])
        moved.meta["val"] = _like(node, shape)
        view = graph.call_function(aten.view.default, (moved, list(_shape(node))))
        view.meta["val"] = node.meta["val"]
    _replace(graph, node, view)


def _moved_shape(border: fx.Node, outer: fx.Node, inner: tuple[int, ...]) -> tuple[int, ...]:
    """Return the first axes of ``outer`` and the last ones, which ``border`` pads, of ``inner``."""
    axes = len(border.args[1]) // 2  # type: ignore[arg-type]  # a node's arguments are of any type
    shape = _shape(outer)
    return (*shape[: len(shape) - axes], *inner[len(inner) - axes :])


def _like(node: fx.Node, shape: tuple[int, ...]) -> Tensor:
    return torch.empty(shape, dtype=node.meta["val"].dtype, device="meta")


def _replace(graph: fx.Graph, node: fx.Node, by: Any) -> None:
    node.replace_all_uses_with(by)
    graph.erase_node(node)


def _is_view(node: Any) -> bool:
    return isinstance(node, fx.Node) and node.op == "call_function" and node.target in VIEWS


def _shape(node: Any) -> tuple[int, ...]:
    value = node.meta.get("val")
    return tuple(value.shape) if isinstance(value, Tensor) else (-1, id(node))
