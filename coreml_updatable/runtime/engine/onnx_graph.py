"""Convert a recorded graph of torch operations to an ONNX model, for other engines. All shapes are fixed.

Whatever depends on no input is computed here, by torch, and becomes a constant, so rearranged weights cost nothing
later. ``operators`` has a rule for each operation; one without a rule raises UnsupportedError, and the whole graph then
runs on torch.
"""

import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx

OPSET = 20
IR_VERSION = 9
MOST_NODES = 20_000  # of a graph; more would take an engine minutes to optimize
MOST_FOLDED = 2**22  # values of a constant that is larger than what it was made of
DTYPES = {
    torch.float32: 1,
    torch.uint8: 2,
    torch.int8: 3,
    torch.int32: 6,
    torch.int64: 7,
    torch.bool: 9,
    torch.float64: 11,
}


class ValueName(str):
    """The name of a value that depends on the inputs."""


Value: TypeAlias = ValueName | Tensor | tuple[Any, ...]  # a value, a constant, or an operation's several


class UnsupportedError(Exception):
    """An operation without a rule; the message names it."""


class Writer:
    """Collects the nodes of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Tensor] = {}
        self._names: dict[int, str] = {}
        self._count = 0

    def emit(self, kind: str, *inputs: "str | Tensor", outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; return the name of its output, or a tuple of names."""
        from onnx import helper

        if len(self.nodes) >= MOST_NODES:
            raise UnsupportedError(f"more than {MOST_NODES} operations")
        names = tuple(self._new() for _ in range(outputs))
        given = [self.name(value) for value in inputs]
        self.nodes.append(helper.make_node(kind, given, list(names), **attributes))
        return ValueName(names[0]) if outputs == 1 else tuple(map(ValueName, names))

    def name(self, value: "str | Tensor") -> str:
        """Return the name of a value; a constant is added to the model."""
        if isinstance(value, str):
            return value
        if id(value) not in self._names:
            name = self._new()
            self._names[id(value)] = name
            self.constants[name] = value  # kept alive, so that its id stays its own
        return self._names[id(value)]

    def integers(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.int64)

    def cast(self, value: "str | Tensor", given: torch.dtype, wanted: torch.dtype) -> "str | Tensor":
        if given == wanted:
            return value
        if isinstance(value, Tensor):
            return value.to(wanted)
        if wanted not in DTYPES:
            raise UnsupportedError(f"values of {wanted}")
        result: str = self.emit("Cast", value, to=DTYPES[wanted])
        return result

    def _new(self) -> str:
        self._count += 1
        return f"v{self._count}"


def to_onnx(graph: fx.GraphModule) -> bytes:
    """Return ``graph`` as an ONNX model with inputs in0, in1, ... and outputs out0, out1, ...

    Raises UnsupportedError if there is no rule for an operation, a type or a size.
    """
    from onnx import helper

    from coreml_updatable.runtime.engine.operators import RULES

    writer, values = Writer(), dict[fx.Node, Value]()
    inputs: list[Any] = []
    outputs: list[Any] = []
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            name = f"in{len(inputs)}"
            inputs.append(helper.make_tensor_value_info(name, _dtype(node.meta["val"]), list(node.meta["val"].shape)))
            values[node] = ValueName(name)
        elif node.op == "get_attr":
            values[node] = _attribute(graph, str(node.target)).detach()
        elif node.op == "output":
            for value in node.args[0]:
                name = f"out{len(outputs)}"
                held = values[value]
                if isinstance(held, tuple):
                    raise UnsupportedError("an output that is several")
                dtype, shape = _dtype(value.meta.get("val", held)), list(value.meta.get("val", held).shape)
                writer.nodes.append(helper.make_node("Identity", [writer.name(held)], [name]))
                outputs.append(helper.make_tensor_value_info(name, dtype, shape))
        elif node.target is operator.getitem:
            several = values[node.args[0]]
            assert isinstance(several, tuple)
            values[node] = several[node.args[1]]
        else:
            values[node] = _operation(node, values, writer, RULES)
    nodes = _read(writer.nodes, len(outputs))
    needed = {name for node in nodes for name in node.input}
    constants = [_constant(name, value) for name, value in writer.constants.items() if name in needed]
    result = helper.make_graph(nodes, "model", inputs, outputs, constants)
    model = helper.make_model(result, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    if model.ByteSize() >= 2**31:
        raise UnsupportedError("more than 2 GB of weights")
    content: bytes = model.SerializeToString()
    return content


def _read(nodes: Sequence[Any], outputs: int) -> list[Any]:
    """Return the nodes whose outputs are read; a border that was folded into a convolution is not."""
    needed = {f"out{index}" for index in range(outputs)}
    kept = []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1]


def _operation(node: fx.Node, values: dict[fx.Node, Value], writer: Writer, rules: Any) -> Value:
    if node.op != "call_function":
        raise UnsupportedError(f"the node {node.op}")
    target: Any = node.target
    if any(argument.alias_info is not None and argument.alias_info.is_write for argument in target._schema.arguments):
        raise UnsupportedError(f"{target} writes into its input")
    arguments = fx.map_arg((node.args, node.kwargs), lambda item: values[item])
    folded = _folded(node, arguments)
    if folded is not None:
        return folded
    name = target._schema.name.partition("::")[2]
    if name not in rules:
        raise UnsupportedError(f"the operation {name}")
    given: tuple[Any, ...] = arguments[0]
    more: dict[str, Any] = dict(arguments[1])
    return rules[name](writer, node, given, more)  # type: ignore[no-any-return]  # the table of rules is untyped


def _folded(node: fx.Node, arguments: Any) -> Value | None:
    """Compute an operation on constants; None if it reads an input, or if the result is much larger than its inputs."""
    leaves = torch.utils._pytree.tree_leaves(arguments)
    if any(isinstance(leaf, ValueName) for leaf in leaves):
        return None
    given = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    value = node.meta.get("val")
    size = value.numel() if isinstance(value, Tensor) else 0
    if size > max(MOST_FOLDED, sum(item.numel() for item in given)):
        return None
    result = node.target(*arguments[0], **arguments[1])  # type: ignore[operator]  # the target of an operation can be called
    return tuple(result) if isinstance(result, tuple | list) else result


def _attribute(module: Any, path: str) -> Tensor:
    for name in path.split("."):
        module = getattr(module, name)
    value: Tensor = module
    return value


def _dtype(value: Tensor) -> int:
    if value.dtype not in DTYPES:
        raise UnsupportedError(f"values of {value.dtype}")
    return DTYPES[value.dtype]


def _constant(name: str, value: Tensor) -> Any:
    from onnx import TensorProto

    result = TensorProto(name=name, data_type=_dtype(value), dims=list(value.shape))
    result.raw_data = value.detach().contiguous().numpy().tobytes()
    return result
