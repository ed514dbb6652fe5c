"""Run TorchScript operator by operator, so that tracing records what runs for one shape, without branches and loops."""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.errors import SourceError

from .._shared.wording import first_line

MOST_TURNS = 1000  # of one loop; each turn becomes layers of its own

Values = dict[str, Any]  # what the graph has computed, by name

# What is no operator on tensors, or works on Python's own values in place; each gets the node's inputs.
SIMPLE: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "prim::ListConstruct": list,
    "prim::TupleConstruct": tuple,
    "prim::DictConstruct": lambda given: dict(zip(given[::2], given[1::2], strict=True)),
    "prim::TupleIndex": lambda given: given[0][given[1]],
    "prim::Uninitialized": lambda _: None,
    "prim::unchecked_cast": lambda given: given[0],
    "prim::unchecked_unwrap_optional": lambda given: given[0],
    "prim::NumToTensor": lambda given: torch.tensor(given[0]),
    "prim::device": lambda given: given[0].device,
    "prim::dtype": lambda given: given[0].dtype,
    "prim::data": lambda given: given[0].detach(),
    "prim::is_cuda": lambda _: False,
    "prim::requires_grad": lambda _: False,
    "prim::min": lambda given: min(*given),
    "prim::max": lambda given: max(*given),
    "prim::Print": lambda _: None,
    "aten::__is__": lambda given: given[0] is given[1],
    "aten::__isnot__": lambda given: given[0] is not given[1],
    "aten::__not__": lambda given: not given[0],
    "aten::__getitem__": lambda given: given[0][given[1]],
    "aten::append": lambda given: given[0].append(given[1]),
    "aten::len": lambda given: len(given[0]),
    "aten::format": lambda given: str(given[0]).format(*given[1:]),
    "aten::warn": lambda _: None,
    "aten::Bool": lambda given: bool(given[0]),
    "aten::Int": lambda given: int(given[0]),
    "aten::Float": lambda given: float(given[0]),
}
# Operators on lists of anything, which torch cannot call from Python.
LISTS: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "aten::add": lambda given: [*given[0], *given[1]],
    "aten::mul": lambda given: list(given[0]) * given[1],
    "aten::slice": lambda given: given[0][slice(*given[1:])],
    "aten::extend": lambda given: given[0].extend(given[1]),
    "aten::insert": lambda given: given[0].insert(given[1], given[2]),
    "aten::pop": lambda given: given[0].pop(*given[1:]),
    "aten::list": lambda given: list(given[0]),
    "aten::copy": lambda given: list(given[0]),
    "aten::__contains__": lambda given: given[1] in given[0],
}


def unrolled(script: Any) -> nn.Module:
    """A module equivalent to ``script``; SourceError names an operator that is not one of torch's own on tensors."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TorchScript is to go
            graph = torch.jit.freeze(script.eval(), optimize_numerics=False).graph
    except Exception as error:  # of its passes
        raise SourceError(
            f"the TorchScript module cannot be frozen ({first_line(error)}); save it in evaluation mode"
        ) from error
    _, *names = [str(value.debugName()) for value in graph.inputs()]

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.script = script

        def forward(self, *batches: Tensor) -> Any:
            if len(batches) != len(names):
                raise TypeError(f"found {len(batches)} inputs for a module that takes {len(names)}")
            (answer,) = _run(graph, dict(zip(names, batches, strict=True)))
            return answer

    return Module()


def _run(block: Any, values: Values) -> list[Any]:
    for node in block.nodes():
        run_node(node, values)
    return [values[str(output.debugName())] for output in block.outputs()]


def run_node(node: Any, values: Values) -> None:
    """Run one operator of a graph on ``values`` (by name) and store its outputs there."""
    for output, result in zip(node.outputs(), _results(node, values), strict=True):
        values[str(output.debugName())] = result


def _results(node: Any, values: Values) -> Sequence[Any]:
    """Return the outputs of ``node``."""
    kind = str(node.kind())
    if kind == "prim::Constant":
        return [node.output().toIValue()]
    given = [values[str(item.debugName())] for item in node.inputs()]
    match kind:
        case "prim::GetAttr":
            value = getattr(given[0], node.s("name"))
            return [value.data if isinstance(value, Tensor) else value]  # a weight is a constant to a tracer
        case "prim::If":
            yes, no = node.blocks()
            return _run(yes if bool(given[0]) else no, values)
        case "prim::Loop":
            return _loop(node, given, values)
        case "prim::TupleUnpack" | "prim::ListUnpack":
            return list(given[0])
        case "prim::RaiseException":
            raise ValueError(str(given[0]))
    table = LISTS if given and isinstance(given[0], list) and kind in LISTS else SIMPLE
    result = table[kind](given) if kind in table else _operator(node, kind)(given)
    count = node.outputsSize()
    return [result] if count == 1 else [] if count == 0 else list(result)


def _loop(node: Any, given: Sequence[Any], values: Values) -> Sequence[Any]:
    most, going, *carried = given
    (body,) = node.blocks()
    index, *names = [str(value.debugName()) for value in body.inputs()]
    turn = 0
    while turn < most and bool(going):
        if turn == MOST_TURNS:
            raise ValueError(f"a loop with more than {MOST_TURNS} iterations")
        values[index] = turn
        values.update(zip(names, carried, strict=True))
        going, *carried = _run(body, values)
        turn += 1
    return carried


def _operator(node: Any, kind: str) -> Callable[[Sequence[Any]], Any]:
    if not kind.startswith("aten::"):
        place = re.search(r"File \"([^\"]+)\", line (\d+)", str(node.sourceRange()))
        where = f" at {place[1].rpartition('/')[2]}, line {place[2]}" if place else ""
        raise SourceError(
            f"the TorchScript module uses {kind!r}{where}, expected torch's own operators on tensors; "
            "save the network without it (quantized ones before they are quantized)"
        )
    schema = torch._C.parse_schema(node.schema())
    function = torch._C._get_operation_overload(schema.name, schema.overload_name)[0]

    def call(given: Sequence[Any]) -> Any:
        pairs = list(zip(schema.arguments, given, strict=True))
        named = {one.name: value for one, value in pairs if one.kwarg_only}
        return function(*(value for one, value in pairs if not one.kwarg_only), **named)

    return call
